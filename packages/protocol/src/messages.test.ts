import { isMillraceError } from '@millrace/platform';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { includesVersion, parseVersionRange } from './codec/versions.ts';
import { zeroUuid } from './codec/uuid.ts';
import {
  apis,
  decodeMessage,
  decodeRequest,
  decodeRequestHeader,
  decodeResponse,
  encodeMessage,
  encodeRequest,
  encodeResponse,
  recordSchemas,
  type ApiSchema,
  type Field,
  type MessageSchema,
  type OutgoingFrame,
} from './index.ts';

type Message = Record<string, unknown>;

/** Any value of a message in a version: fields that the version has are anything, the others have their default. */
function messageArbitrary(fields: readonly Field[], version: number): fc.Arbitrary<Message> {
  return fc.record(
    Object.fromEntries(
      fields.map((field) => [
        field.name,
        includesVersion(field.versions, version)
          ? valueArbitrary(field, version)
          : fc.constant(null).map(() => defaultValue(field)),
      ]),
    ),
    { noNullPrototype: true },
  );
}

function valueArbitrary(field: Field, version: number): fc.Arbitrary<unknown> {
  const element = elementArbitrary(field, version);
  const value = field.isArray ? fc.array(element, { maxLength: 3 }) : element;
  return includesVersion(field.nullable, version) ? fc.option(value, { nil: null }) : value;
}

function elementArbitrary({ type }: Field, version: number): fc.Arbitrary<unknown> {
  if (typeof type !== 'string') return messageArbitrary(type, version);
  switch (type) {
    case 'bool':
      return fc.boolean();
    case 'int8':
      return fc.integer({ min: -128, max: 127 });
    case 'int16':
      return fc.integer({ min: -32_768, max: 32_767 });
    case 'uint16':
      return fc.integer({ min: 0, max: 65_535 });
    case 'int32':
      return fc.integer();
    case 'uint32':
      return fc.integer({ min: 0, max: 4_294_967_295 });
    case 'int64':
      return fc.maxSafeInteger();
    case 'float64':
      return fc.double({ noNaN: true });
    case 'string':
      return fc.oneof(fc.string({ maxLength: 40 }), fc.string({ unit: 'grapheme', maxLength: 12 }));
    case 'uuid':
      return fc.uuid();
    case 'bytes':
    case 'records':
      return fc.uint8Array({ maxLength: 40 });
  }
}

/** Written out here, not taken from the codec: it is what is tested. */
function defaultValue(field: Field): unknown {
  if (field.default !== undefined) return field.default;
  if (field.isArray) return [];
  if (typeof field.type !== 'string') {
    return Object.fromEntries(field.type.map((inner) => [inner.name, defaultValue(inner)]));
  }
  if (field.type === 'records' && field.nullable !== undefined) return null;
  if (field.type === 'bytes' || field.type === 'records') return new Uint8Array(0);
  return { bool: false, string: '', uuid: zeroUuid }[field.type as string] ?? 0;
}

function joined(frame: OutgoingFrame): Buffer {
  const bytes = Buffer.concat(frame.parts);
  expect(bytes.length).toBe(frame.byteLength);
  expect(bytes.readInt32BE(0)).toBe(bytes.length - 4);
  return bytes.subarray(4);
}

function request(api: ApiSchema, version: number, message: Message): Buffer {
  return joined(encodeRequest(api, version, { correlationId: 1, clientId: 'test' }, message as never));
}

function readRequest(api: ApiSchema, version: number, frame: Uint8Array): unknown {
  return decodeRequest(api, version, frame, decodeRequestHeader(frame).bodyPosition);
}

function response(api: ApiSchema, version: number, message: Message): Buffer {
  return joined(encodeResponse(api, version, 1, message as never));
}

interface Direction {
  readonly schema: MessageSchema;
  readonly encode: (version: number, message: Message) => Uint8Array;
  readonly decode: (version: number, bytes: Uint8Array) => unknown;
}

const directions: readonly Direction[] = [
  ...Object.values(apis as Readonly<Record<string, ApiSchema>>).flatMap((api): Direction[] => [
    {
      schema: api.request,
      encode: (version, message) => request(api, version, message),
      decode: (version, bytes) => readRequest(api, version, bytes),
    },
    {
      schema: api.response,
      encode: (version, message) => response(api, version, message),
      decode: (version, bytes) => decodeResponse(api, version, bytes),
    },
  ]),
  ...Object.values(recordSchemas as Readonly<Record<string, MessageSchema>>).map((schema): Direction => ({
    schema,
    encode: (version, message) => encodeMessage(schema, version, message as never),
    decode: (version, bytes) => decodeMessage(schema, version, bytes),
  })),
];

/** Whether it reads, or the code of what it throws. */
function outcome(read: () => unknown): string {
  try {
    read();
    return 'read';
  } catch (error) {
    return isMillraceError(error) ? error.code : String(error);
  }
}

function versionsOf({ schema }: Direction): number[] {
  const { min, max } = parseVersionRange(schema.validVersions);
  return Array.from({ length: max - min + 1 }, (_, i) => min + i);
}

describe.each(directions.map((direction) => [direction.schema.name, direction] as const))('%s', (_name, direction) => {
  const { schema, encode, decode } = direction;

  it('is read back as it was written, in every version', () => {
    for (const version of versionsOf(direction)) {
      fc.assert(
        fc.property(messageArbitrary(schema.fields, version), (message) => {
          expect(decode(version, encode(version, message)), `version ${version}`).toEqual(message);
        }),
        { numRuns: 25 },
      );
    }
  });

  it('has its defaults where nothing was set, in every version', () => {
    const defaults = Object.fromEntries(schema.fields.map((field) => [field.name, defaultValue(field)]));
    for (const version of versionsOf(direction)) {
      expect(decode(version, encode(version, {})), `version ${version}`).toEqual(defaults);
    }
  });

  it('is refused wherever it is cut off, and with a byte too many', () => {
    for (const version of versionsOf(direction)) {
      const [message] = fc.sample(messageArbitrary(schema.fields, version), { numRuns: 1, seed: 20 + version });
      const bytes = encode(version, message!);
      for (let end = 0; end < bytes.length; end++) {
        expect(
          () => decode(version, Uint8Array.from(bytes.subarray(0, end))),
          `version ${version}, ${end} bytes`,
        ).toThrow(expect.objectContaining({ code: 'PROTOCOL_ERROR' }));
      }
      expect(() => decode(version, Buffer.concat([bytes, Buffer.alloc(1)])), `version ${version}`).toThrow(
        expect.objectContaining({ code: 'PROTOCOL_ERROR' }),
      );
    }
  });

  it('is read or refused with a ProtocolError, whatever bytes are changed', () => {
    for (const version of versionsOf(direction)) {
      fc.assert(
        fc.property(
          messageArbitrary(schema.fields, version),
          fc.array(fc.tuple(fc.nat(), fc.constantFrom(0, 1, 0x7f, 0x80, 0xfe, 0xff)), { minLength: 1, maxLength: 4 }),
          (message, changes) => {
            const bytes = Uint8Array.from(encode(version, message));
            // Past the header or version in front, whose errors are others.
            for (const [at, value] of changes) if (bytes.length > 16) bytes[16 + (at % (bytes.length - 16))] = value;
            expect(outcome(() => decode(version, bytes))).toMatch(/^(read|PROTOCOL_ERROR)$/);
          },
        ),
        { numRuns: 40 },
      );
    }
  });
});
