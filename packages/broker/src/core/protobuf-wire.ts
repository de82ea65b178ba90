import { CorruptLogError } from '@millrace/log';
import { strict as assert } from 'node:assert';
import { isUtf8 } from 'node:buffer';
import { metadataTopic } from './topic-names.ts';

/**
 * Protobuf's wire format, as far as the metadata records need it. protobufjs would do it as well, and be the slowest import of the
 * broker: 9 of 90 ms (Node 20). The tests hold the two against each other.
 */
const wireTypes = { varint: 0, fixed64: 1, lengthDelimited: 2, fixed32: 5 } as const;
/** 64 bits, 7 in each byte. */
const longestVarint = 10;

/** A field as it lies in a message: a varint, or the bytes of a text or a message. */
export interface WireField {
  readonly number: number;
  /** Not exact above 2^53: see `numberOf`. */
  readonly value: number | Uint8Array;
}

/** A field with a number, or a boolean: uint32, uint64, bool. */
export function varintField(number: number, value: number | boolean): Uint8Array {
  return Uint8Array.from([...varint((number << 3) | wireTypes.varint), ...varint(Number(value))]);
}

/** A field with a text. */
export function textField(number: number, text: string): Uint8Array {
  return messageField(number, [Buffer.from(text, 'utf8')]);
}

/** A field with a message of these fields. */
export function messageField(number: number, fields: readonly Uint8Array[]): Uint8Array {
  const byteLength = fields.reduce((sum, field) => sum + field.length, 0);
  const prefix = [...varint((number << 3) | wireTypes.lengthDelimited), ...varint(byteLength)];
  return Buffer.concat([Uint8Array.from(prefix), ...fields]);
}

/**
 * The varints, texts and messages of a message, in their order; those of later versions too. Numbers of a fixed size are passed over:
 * there are none in our schema, so they can only be of a later version.
 * @throws {CorruptLogError} for bytes that are no message
 */
export function* fieldsOf(message: Uint8Array): Generator<WireField> {
  let position = 0;
  const readVarint = (): number => {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < longestVarint; count++, scale *= 128) {
      const byte = message[position++];
      if (byte === undefined) throw corrupt('A record ends within a field.');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw corrupt(`A record has a number of more than ${longestVarint} bytes.`);
  };
  const readBytes = (byteLength: number): Uint8Array => {
    if (byteLength > message.length - position) throw corrupt('A record ends within a field.');
    return message.subarray(position, (position += byteLength));
  };
  while (position < message.length) {
    const tag = readVarint();
    const number = Math.floor(tag / 8);
    if (number === 0) throw corrupt('A record has a field 0, which Protobuf does not have.');
    switch (tag % 8) {
      case wireTypes.varint:
        yield { number, value: readVarint() };
        break;
      case wireTypes.fixed64:
        readBytes(8);
        break;
      case wireTypes.lengthDelimited:
        yield { number, value: readBytes(readVarint()) };
        break;
      case wireTypes.fixed32:
        readBytes(4);
        break;
      default:
        throw corrupt(`A record has a field of the unknown wire type ${tag % 8}.`);
    }
  }
}

/** The number of a uint32 or uint64. @throws {CorruptLogError} above 2^53 - 1, which no number of ours reaches */
export function numberOf(value: number): number {
  if (!Number.isSafeInteger(value)) throw corrupt(`A record has a number above 2^53 - 1 (about ${value}).`);
  return value;
}

/** @throws {CorruptLogError} where it is no UTF-8 */
export function textOf(value: Uint8Array): string {
  if (!isUtf8(value)) throw corrupt('A record has a text that is no UTF-8.');
  return Buffer.from(value.buffer, value.byteOffset, value.length).toString('utf8');
}

function varint(value: number): number[] {
  assert(Number.isSafeInteger(value) && value >= 0, `${value} is no number that a record can hold`);
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return bytes;
}

function corrupt(message: string): CorruptLogError {
  return new CorruptLogError(`${metadataTopic}-0`, message);
}
