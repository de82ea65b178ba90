import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { includesVersion, parseVersionRange } from './codec/versions.ts';
import { zeroUuid } from './codec/uuid.ts';
import { apis, recordSchemas, versionRange, type Field, type MessageSchema, type VersionRange } from './index.ts';

interface UpstreamField {
  readonly name: string;
  readonly type: string;
  readonly versions: VersionRange;
  readonly nullableVersions?: VersionRange;
  readonly tag?: number;
  readonly taggedVersions?: VersionRange;
  readonly default?: string | number | boolean | null;
  readonly ignorable?: boolean;
  readonly fields?: readonly UpstreamField[];
}

interface UpstreamMessage {
  readonly name: string;
  readonly type: string;
  readonly apiKey?: number;
  readonly validVersions: VersionRange;
  readonly flexibleVersions: VersionRange;
  readonly fields: readonly UpstreamField[];
  readonly commonStructs?: readonly { readonly name: string; readonly fields: readonly UpstreamField[] }[];
}

const upstream = JSON.parse(
  readFileSync(new URL('../fixtures/kafka-messages.json', import.meta.url), 'utf8'),
) as readonly UpstreamMessage[];

/** Versions that Kafka 4.0 serves and the fixture's tree does not have yet, with all that they add. */
const laterVersions: Readonly<Record<string, { max: number; kip: string; fields: readonly string[] }>> = {
  ProduceRequest: { max: 12, kip: 'KIP-890', fields: [] },
  ProduceResponse: { max: 12, kip: 'KIP-890', fields: [] },
  MetadataRequest: { max: 13, kip: 'KIP-1102', fields: [] },
  MetadataResponse: { max: 13, kip: 'KIP-1102', fields: ['errorCode'] },
  DescribeGroupsRequest: { max: 6, kip: 'KIP-1043', fields: [] },
  DescribeGroupsResponse: { max: 6, kip: 'KIP-1043', fields: ['groups.errorMessage'] },
  TxnOffsetCommitRequest: { max: 5, kip: 'KIP-890', fields: [] },
  TxnOffsetCommitResponse: { max: 5, kip: 'KIP-890', fields: [] },
  DescribeClusterRequest: { max: 2, kip: 'KIP-1073', fields: ['includeFencedBrokers'] },
  DescribeClusterResponse: { max: 2, kip: 'KIP-1073', fields: ['brokers.isFenced'] },
};

/**
 * The fixture's tree gives these tagged fields to version 0 too, which is not flexible: Kafka never wrote them there, and a
 * reader that expected them would not read what brokers before 3.8 wrote.
 */
const notInVersion0: readonly string[] = [
  'TransactionLogValue.previousProducerId',
  'TransactionLogValue.nextProducerId',
  'TransactionLogValue.clientTransactionVersion',
];

/** Newer than the fixture's tree, where they were not generated from schemas. */
const withoutUpstream: readonly string[] = ['ControlRecordType', 'EndTxnMarker'];

interface Facts {
  readonly path: string;
  readonly type: string;
  readonly isArray: boolean;
  readonly isNullable: boolean;
  readonly tag: number | null;
  readonly defaultValue: unknown;
  readonly isIgnorable: boolean;
}

function camelCase(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1);
}

function upstreamFacts(message: UpstreamMessage, version: number): Facts[] {
  const structs = new Map<string, readonly UpstreamField[]>();
  const learn = (fields: readonly UpstreamField[]): void => {
    for (const field of fields) {
      if (field.fields === undefined) continue;
      structs.set(field.type.replace('[]', ''), field.fields);
      learn(field.fields);
    }
  };
  learn(message.fields);
  for (const { name, fields } of message.commonStructs ?? []) {
    structs.set(name, fields);
    learn(fields);
  }
  const walk = (fields: readonly UpstreamField[], prefix: string): Facts[] =>
    fields.flatMap((field) => {
      if (!includesVersion(field.versions, version)) return [];
      const path = `${prefix}${camelCase(field.name)}`;
      if (version === 0 && notInVersion0.includes(`${message.name}.${path}`)) return [];
      const isArray = field.type.startsWith('[]');
      const element = field.type.replace('[]', '');
      const inner = structs.get(element);
      const facts: Facts = {
        path,
        type: inner === undefined ? element : 'struct',
        isArray,
        isNullable: includesVersion(field.nullableVersions, version),
        tag: includesVersion(field.taggedVersions, version) ? field.tag! : null,
        defaultValue: upstreamDefault(field, isArray || inner !== undefined),
        isIgnorable: field.ignorable === true,
      };
      return [facts, ...(inner === undefined ? [] : walk(inner, `${path}.`))];
    });
  return walk(message.fields, '');
}

function upstreamDefault({ type, default: given }: UpstreamField, isCompound: boolean): unknown {
  if (given === null || given === 'null') return null;
  if (isCompound) return 'empty';
  switch (type) {
    case 'bool':
      return String(given) === 'true';
    case 'string':
      return given ?? '';
    case 'uuid':
      return zeroUuid;
    case 'bytes':
    case 'records':
      return 'empty';
    default:
      return Number(given ?? 0);
  }
}

function ourFacts(schema: MessageSchema, version: number): Facts[] {
  const walk = (fields: readonly Field[], prefix: string): Facts[] =>
    fields.flatMap((field) => {
      if (!includesVersion(field.versions, version)) return [];
      const path = `${prefix}${field.name}`;
      const { type } = field;
      const isCompound = field.isArray === true || typeof type !== 'string';
      const facts: Facts = {
        path,
        type: typeof type === 'string' ? type : 'struct',
        isArray: field.isArray === true,
        isNullable: includesVersion(field.nullable, version),
        tag: includesVersion(field.taggedVersions, version) ? field.tag! : null,
        defaultValue: ourDefault(field, isCompound),
        isIgnorable: field.ignorable === true,
      };
      return [facts, ...(typeof type === 'string' ? [] : walk(type, `${path}.`))];
    });
  return walk(schema.fields, '');
}

function ourDefault(field: Field, isCompound: boolean): unknown {
  if (field.default === null) return null;
  if (isCompound || field.type === 'bytes' || field.type === 'records') return 'empty';
  if (field.default !== undefined) return field.default;
  if (field.type === 'bool') return false;
  if (field.type === 'string') return '';
  return field.type === 'uuid' ? zeroUuid : 0;
}

function compare(schema: MessageSchema, message: UpstreamMessage): void {
  const later = laterVersions[schema.name];
  const theirs = parseVersionRange(message.validVersions);
  expect(parseVersionRange(schema.validVersions)).toEqual({ min: theirs.min, max: later?.max ?? theirs.max });
  expect(schema.flexibleVersions).toBe(message.flexibleVersions);
  for (let version = theirs.min; version <= theirs.max; version++) {
    expect(ourFacts(schema, version), `version ${version}`).toEqual(upstreamFacts(message, version));
  }
  if (later === undefined) return;
  const before = ourFacts(schema, theirs.max).map(({ path }) => path);
  const after = ourFacts(schema, later.max).map(({ path }) => path);
  expect(after.filter((path) => !before.includes(path))).toEqual(later.fields);
  expect(before.filter((path) => !after.includes(path))).toEqual([]);
}

describe('schemas', () => {
  for (const api of Object.values(apis)) {
    it(`${api.name} has the fields of Kafka's, in every version`, () => {
      const find = (type: string): UpstreamMessage =>
        upstream.find((message) => message.apiKey === api.key && message.type === type)!;
      expect(`${api.name}Request`).toBe(find('request').name);
      expect([api.request.name, api.response.name]).toEqual([find('request').name, find('response').name]);
      expect(api.response.validVersions).toBe(api.request.validVersions);
      expect(api.response.flexibleVersions).toBe(api.request.flexibleVersions);
      compare(api.request, find('request'));
      compare(api.response, find('response'));
    });
  }

  for (const schema of Object.values(recordSchemas)) {
    if (withoutUpstream.includes(schema.name)) continue;
    it(`${schema.name} has the fields of Kafka's, in every version`, () => {
      const message = upstream.find(({ name }) => name === schema.name)!;
      expect(message.type).toBe('data');
      compare(schema, message);
    });
  }

  it('are there for all that the broker serves to clients', () => {
    const keys = Object.values(apis).map(({ key }) => key);
    expect(keys).toEqual([
      0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 28, 32, 33, 36, 37, 42, 44,
      47, 60,
    ]);
  });

  it('give tags to flexible versions only, in ascending order without a gap', () => {
    const check = (fields: readonly Field[], flexibleVersions: VersionRange): void => {
      const tags = fields.flatMap(({ tag }) => (tag === undefined ? [] : [tag]));
      expect(tags).toEqual(tags.map((_, index) => index));
      for (const { taggedVersions = flexibleVersions, type } of fields) {
        expect(parseVersionRange(taggedVersions).min).toBeGreaterThanOrEqual(parseVersionRange(flexibleVersions).min);
        if (typeof type !== 'string') check(type, flexibleVersions);
      }
    };
    const messages = Object.values(apis).flatMap(({ request, response }) => [request, response]);
    for (const { fields, flexibleVersions } of messages) check(fields, flexibleVersions);
  });

  it('say their range of versions', () => {
    expect(versionRange(apis.fetch)).toEqual({ min: 0, max: 17 });
    expect(versionRange(apis.offsetDelete)).toEqual({ min: 0, max: 0 });
  });
});
