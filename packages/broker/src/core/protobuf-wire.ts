import { CorruptLogError } from '@millrace/log';
import { isUtf8 } from 'node:buffer';
import protobuf from 'protobufjs/minimal.js';
import { metadataTopic } from './topic-names.ts';

/**
 * Fields of Protobuf messages, by protobufjs's reader and writer. Its reflection would do it from the `.proto`, and cost the start of
 * every broker more than all else.
 */
const wireTypes = { varint: 0, lengthDelimited: 2 } as const;

/** A field as it lies in a message: a varint, or the bytes of a text or a message. */
export interface WireField {
  readonly number: number;
  /** Not exact above 2^53: see `numberOf`. */
  readonly value: number | Uint8Array;
}

/** A field with a number, or a boolean: uint32, uint64, bool. */
export function varintField(number: number, value: number | boolean): Uint8Array {
  return protobuf.Writer.create()
    .uint32((number << 3) | wireTypes.varint)
    .uint64(Number(value))
    .finish();
}

/** A field with a text. */
export function textField(number: number, text: string): Uint8Array {
  return protobuf.Writer.create()
    .uint32((number << 3) | wireTypes.lengthDelimited)
    .string(text)
    .finish();
}

/** A field with a message of these fields. */
export function messageField(number: number, fields: readonly Uint8Array[]): Uint8Array {
  return protobuf.Writer.create()
    .uint32((number << 3) | wireTypes.lengthDelimited)
    .bytes(Buffer.concat(fields))
    .finish();
}

/**
 * The varints, texts and messages of a message, in their order; those of later versions too. Whatever else there is can only be of
 * a later version, and is passed over.
 * @throws {CorruptLogError} for bytes that are no message
 */
export function fieldsOf(message: Uint8Array): readonly WireField[] {
  const fields: WireField[] = [];
  const reader = protobuf.Reader.create(message);
  try {
    while (reader.pos < reader.len) {
      const tag = reader.uint32();
      const number = tag >>> 3;
      if (number === 0) throw corrupt('A record has a field 0, which Protobuf does not have.');
      if ((tag & 7) === wireTypes.varint) fields.push({ number, value: Number(reader.uint64()) });
      else if ((tag & 7) === wireTypes.lengthDelimited) fields.push({ number, value: reader.bytes() });
      else reader.skipType(tag & 7);
    }
  } catch (error) {
    if (error instanceof CorruptLogError) throw error;
    throw corrupt(`A record is no message (${(error as Error).message}).`);
  }
  return fields;
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

function corrupt(message: string): CorruptLogError {
  return new CorruptLogError(`${metadataTopic}-0`, message);
}
