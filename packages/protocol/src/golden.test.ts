import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { includesVersion, parseVersionRange } from './codec/versions.ts';
import { zeroUuid } from './codec/uuid.ts';
import {
  apis,
  decodeMessage,
  decodeRequest,
  decodeResponse,
  encodeMessage,
  encodeRequest,
  encodeResponse,
  recordSchemas,
  type ApiSchema,
  type Field,
  type MessageSchema,
} from './index.ts';

/** A message that Apache Kafka's own classes wrote: `fixtures/README.md`. */
interface Written {
  readonly name: string;
  readonly version: number;
  readonly bytes: string;
  /** The fields that the version has; bytes are in hex. */
  readonly value: Readonly<Record<string, unknown>>;
}

const written = readFileSync(new URL('../fixtures/kafka-messages-written.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Written);

/** Kafka 4.4 calls a field of TxnOffsetCommit as OffsetCommit does, since members of new groups commit too. */
const renamed: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  TxnOffsetCommitRequest: { generationId: 'generationIdOrMemberEpoch' },
};

/** What we decode to: bytes as such, and defaults for the fields that the version has not. */
function expected(fields: readonly Field[], value: Readonly<Record<string, unknown>> | undefined): unknown {
  return Object.fromEntries(
    fields.map((field) => {
      const given = value?.[field.name];
      return [field.name, given === undefined ? absent(field) : expectedValue(field, given)];
    }),
  );
}

function expectedValue(field: Field, given: unknown): unknown {
  if (given === null) return null;
  if (field.isArray) {
    const { isArray: _, ...element } = field;
    return (given as readonly unknown[]).map((item) => expectedValue(element, item));
  }
  if (typeof field.type !== 'string') return expected(field.type, given as Readonly<Record<string, unknown>>);
  const isBytes = field.type === 'bytes' || field.type === 'records';
  return isBytes ? Uint8Array.from(Buffer.from(given as string, 'hex')) : given;
}

function absent(field: Field): unknown {
  if (field.default !== undefined) return field.default;
  if (field.isArray) return [];
  if (typeof field.type !== 'string') return expected(field.type, undefined);
  switch (field.type) {
    case 'bool':
      return false;
    case 'string':
      return '';
    case 'uuid':
      return zeroUuid;
    case 'bytes':
      return new Uint8Array(0);
    case 'records':
      return field.nullable === undefined ? new Uint8Array(0) : null;
    default:
      return 0;
  }
}

function withOurNames(message: string, value: Written['value']): Written['value'] {
  const ours = { ...value };
  for (const [name, theirs] of Object.entries(renamed[message] ?? {})) {
    if (theirs in value) ours[name] = value[theirs];
  }
  return ours;
}

interface Codec {
  readonly schema: MessageSchema;
  readonly decode: (version: number, body: Uint8Array) => unknown;
  readonly encode: (version: number, value: never) => Uint8Array;
}

const header = { correlationId: 1, clientId: null };
const codecs: readonly Codec[] = [
  ...Object.values(apis as Readonly<Record<string, ApiSchema>>).flatMap((api): Codec[] => [
    {
      schema: api.request,
      decode: (version, body) => decodeRequest(api, version, body, 0),
      encode(version, value) {
        const isFlexible = includesVersion(api.request.flexibleVersions, version);
        return Buffer.concat(encodeRequest(api, version, header, value).parts).subarray(isFlexible ? 15 : 14);
      },
    },
    {
      schema: api.response,
      decode: (version, body) =>
        decodeResponse(api, version, Buffer.concat([Buffer.alloc(responseHeaderBytes(api, version)), body])),
      encode: (version, value) =>
        Buffer.concat(encodeResponse(api, version, 1, value).parts).subarray(4 + responseHeaderBytes(api, version)),
    },
  ]),
  ...Object.values(recordSchemas as Readonly<Record<string, MessageSchema>>).map((schema): Codec => ({
    schema,
    decode: (version, body) => decodeMessage(schema, version, Buffer.concat([Uint8Array.of(0, version), body])),
    encode: (version, value) => encodeMessage(schema, version, value).subarray(2),
  })),
];

function responseHeaderBytes(api: ApiSchema, version: number): number {
  return api !== apis.apiVersions && includesVersion(api.response.flexibleVersions, version) ? 5 : 4;
}

describe.each(codecs.map((codec) => [codec.schema.name, codec] as const))('%s', (name, { schema, decode, encode }) => {
  const samples = written.filter((sample) => sample.name === name);

  it('is read as Apache Kafka wrote it, and written alike', () => {
    for (const { version, bytes, value } of samples) {
      const wanted = expected(schema.fields, withOurNames(name, value));
      expect(decode(version, Buffer.from(bytes, 'hex')), `version ${version}`).toEqual(wanted);
      expect(Buffer.from(encode(version, wanted as never)).toString('hex'), `version ${version}`).toBe(bytes);
    }
  });

  it('has samples of every version', () => {
    const { min, max } = parseVersionRange(schema.validVersions);
    const versions = Array.from({ length: max - min + 1 }, (_, i) => min + i);
    expect([...new Set(samples.map(({ version }) => version))].toSorted((a, b) => a - b)).toEqual(versions);
  });
});
