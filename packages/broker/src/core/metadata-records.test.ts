import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';
import { expect, it } from 'vitest';
import {
  decodeMetadataKey,
  decodeMetadataValue,
  encodeMetadataKey,
  encodeMetadataValue,
  type MetadataKey,
  type MetadataValue,
} from './metadata-records.ts';

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
