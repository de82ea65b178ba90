import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  decodeMetadataKey,
  decodeMetadataValue,
  encodeMetadataKey,
  encodeMetadataValue,
  type MetadataKey,
  type MetadataValue,
} from './metadata-records.ts';
import { fieldsOf } from './protobuf-wire.ts';

const schema = protobuf.parse(readFileSync(new URL('cluster-metadata.proto', import.meta.url), 'utf8'), {
  keepCase: false,
}).root;
const keyType = schema.lookupType('millrace.broker.MetadataKey');
const valueType = schema.lookupType('millrace.broker.MetadataValue');

const keys: readonly (readonly [MetadataKey, object])[] = [
  [{ subject: 'cluster' }, { cluster: true }],
  [
    { subject: 'topic', topicId: '01234567-89ab-4def-8123-456789abcdef' },
    { topicId: '01234567-89ab-4def-8123-456789abcdef' },
  ],
  [{ subject: 'producerIds' }, { producerIds: true }],
];

const values: readonly (readonly [MetadataValue, object])[] = [
  [
    { subject: 'cluster', clusterId: 'AbCd-_', brokerEpoch: 2 ** 40 + 3 },
    { cluster: { clusterId: 'AbCd-_', brokerEpoch: 2 ** 40 + 3 } },
  ],
  [
    {
      subject: 'topic',
      name: 'orders',
      partitionCount: 300,
      configs: new Map([
        ['retention.ms', '9223372036854775807'],
        ['cleanup.policy', 'compact'],
      ]),
      isDeleting: true,
    },
    {
      topic: {
        name: 'orders',
        partitionCount: 300,
        configs: { 'retention.ms': '9223372036854775807', 'cleanup.policy': 'compact' },
        isDeleting: true,
      },
    },
  ],
  [{ subject: 'producerIds', nextProducerId: 2 ** 52 }, { producerIds: { nextProducerId: 2 ** 52 } }],
];

it.each(keys)('codes the key %j as cluster-metadata.proto has it', (key, message) => {
  expect(Buffer.from(encodeMetadataKey(key))).toEqual(Buffer.from(keyType.encode(message).finish()));
  expect(decodeMetadataKey(keyType.encode(message).finish())).toEqual(key);
});

it.each(values)('codes the value %j as cluster-metadata.proto has it', (value, message) => {
  const read = valueType.toObject(valueType.decode(encodeMetadataValue(value)), { longs: Number });
  expect(read).toEqual(message);
  expect(decodeMetadataValue(valueType.encode(valueType.fromObject(message)).finish())).toEqual(value);
});

it('skips fields of later versions, and gives nothing for subjects of later versions', () => {
  const later = protobuf.parse(`
    syntax = "proto3";
    message TopicState { string name = 1; uint32 partition_count = 2; string added = 9; fixed32 more = 10; }
    message Value { TopicState topic = 2; bytes added = 15; }
    message Unknown { string quota = 7; }
  `).root;
  const extended = later.lookupType('Value').encode({
    topic: { name: 'orders', partitionCount: 3, added: 'x', more: 1 },
    added: Buffer.from('y'),
  });
  expect(decodeMetadataValue(extended.finish())).toEqual({
    subject: 'topic',
    name: 'orders',
    partitionCount: 3,
    configs: new Map(),
    isDeleting: false,
  });
  const unknown = later.lookupType('Unknown').encode({ quota: 'z' }).finish();
  expect(decodeMetadataKey(unknown)).toBeUndefined();
  expect(decodeMetadataValue(unknown)).toBeUndefined();
});

it('refuses a record that ends within a field, wherever it was cut', () => {
  const [value] = values[1]!;
  const whole = encodeMetadataValue(value);
  for (let byteLength = 1; byteLength < whole.length; byteLength++) {
    expect(() => decodeMetadataValue(whole.subarray(0, byteLength)), `${byteLength} bytes`).toThrow(
      expect.objectContaining({ code: 'CORRUPT_LOG' }),
    );
  }
});

const uint64 = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const text = fc.string({ unit: 'binary' });
const anyValue: fc.Arbitrary<MetadataValue> = fc.oneof(
  fc.record({ subject: fc.constant('cluster' as const), clusterId: text, brokerEpoch: uint64 }),
  fc.record({
    subject: fc.constant('topic' as const),
    name: text,
    partitionCount: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    configs: fc.array(fc.tuple(text, text)).map((entries) => new Map(entries)),
    isDeleting: fc.boolean(),
  }),
  fc.record({ subject: fc.constant('producerIds' as const), nextProducerId: uint64 }),
);

it('reads back whatever it writes, and protobufjs reads the same', () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const { subject, ...fields } = value;
      const bytes = encodeMetadataValue(value);
      expect(decodeMetadataValue(bytes)).toEqual(value);
      const read = valueType.toObject(valueType.decode(bytes), { longs: Number, defaults: true })[subject];
      expect({ ...read }).toEqual(
        'configs' in fields ? { ...fields, configs: Object.fromEntries(fields.configs) } : fields,
      );
    }),
  );
});

it('skips what a later version could add, wherever and of whatever type it is', () => {
  const [value] = values[1]!;
  const whole = encodeMetadataValue(value);
  const topic = [...fieldsOf(whole)][0]!.value as Uint8Array;
  const unknown = protobuf.Writer.create();
  unknown.uint32((20 << 3) | 0).int64(-1); // ten bytes, as negative numbers have
  unknown.uint32((21 << 3) | 1).fixed64(7);
  unknown.uint32((22 << 3) | 2).string('later');
  unknown.uint32((536870911 << 3) >>> 0).uint32(1); // the greatest number of a field
  unknown.uint32((23 << 3) | 5).fixed32(7);
  unknown.uint32((1 << 3) | 0).uint32(9); // ours, and of another type: it is not the name
  unknown.uint32((2 << 3) | 5).fixed32(9);
  unknown.uint32((4 << 3) | 2).string('no');
  const added = unknown.finish();
  for (const parts of [
    [topic, added],
    [added, topic],
  ]) {
    const extended = protobuf.Writer.create().uint32((2 << 3) | 2);
    extended
      .bytes(Buffer.concat(parts))
      .uint32((9 << 3) | 5)
      .fixed32(1);
    expect(decodeMetadataValue(extended.finish())).toEqual(value);
  }
});

it.each([
  ['a text that is no UTF-8', [0x12, 0x03, 0x0a, 0x01, 0xff]],
  ['a number above 2^53 - 1', [0x1a, 0x09, 0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]],
  ['a number that does not end', [0x08, ...Array<number>(10).fill(0xff), 0x01]],
  ['a length that does not end', [0x12, ...Array<number>(20).fill(0xff)]],
  ['a field 0', [0x00, 0x01]],
  ['a wire type that nobody knows', [0x0f, 0x01]],
])('refuses %s', (_what, bytes) => {
  expect(() => decodeMetadataValue(Uint8Array.from(bytes))).toThrow(
    expect.objectContaining({ code: 'CORRUPT_LOG', context: { path: '__cluster_metadata-0' } }),
  );
});

it('gives a value or says that the log is corrupt, whatever the bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      for (const decode of [decodeMetadataKey, decodeMetadataValue]) {
        try {
          decode(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'CORRUPT_LOG' });
        }
      }
    }),
    { numRuns: 2000 },
  );
});

it('takes any number but 0 for true', () => {
  expect(decodeMetadataKey(Uint8Array.of(0x08, 0x02))).toEqual({ subject: 'cluster' });
  expect(decodeMetadataKey(Uint8Array.of(0x08, 0x00))).toBeUndefined();
  expect(decodeMetadataValue(Uint8Array.of(0x12, 0x02, 0x20, 0x02))).toMatchObject({ isDeleting: true });
});
