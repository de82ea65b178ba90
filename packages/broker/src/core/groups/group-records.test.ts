import { expect, it } from 'vitest';
import { decodeGroupRecord, groupRecord, offsetRecord, type StoredGroup } from './group-records.ts';
import type { CommittedOffset } from './offsets.ts';

// Written by Apache Kafka 4.4.0's own classes: OffsetCommitKey, OffsetCommitValue, GroupMetadataKey, GroupMetadataValue.
const golden = {
  offsetKey: '000100077265616465727300066f726465727300000003',
  offsetValue3: '0003000000000000002a0000000500036ec3a90000018bcfe56800',
  offsetValue1: '0001000000000000002a00036ec3a90000018bcfe568000000018bcfee8fc0',
  offsetValue4: '0004000000000000002a00000005046ec3a90000018bcfe5680000',
  groupKey: '0002000772656164657273',
  groupValue3:
    '00030008636f6e73756d657200000007000572616e676500036d2d310000018bcfe568000000000100036d2d3100036f6e6500016300092f31302e' +
    '302e302e310000ea600000afc80000000201020000000103',
  groupValue0:
    '00000008636f6e73756d657200000007000572616e676500036d2d310000000100036d2d3100016300092f31302e302e302e310000afc800000002' +
    '01020000000103',
};

const offset: CommittedOffset = {
  offset: 42,
  leaderEpoch: 5,
  metadata: 'né',
  commitTimestampMs: 1_700_000_000_000,
  expireTimestampMs: null,
  recordOffset: 99,
};
const group: StoredGroup = {
  protocolType: 'consumer',
  generationId: 7,
  protocolName: 'range',
  leader: 'm-1',
  stateTimestampMs: 1_700_000_000_000,
  members: [
    {
      memberId: 'm-1',
      groupInstanceId: 'one',
      clientId: 'c',
      clientHost: '/10.0.0.1',
      rebalanceTimeoutMs: 60_000,
      sessionTimeoutMs: 45_000,
      subscription: new Uint8Array([1, 2]),
      assignment: new Uint8Array([3]),
    },
  ],
};

const hexOf = (bytes: Uint8Array | null): string | null => bytes && Buffer.from(bytes).toString('hex');
const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));
const decode = (key: string, value: string | null): unknown =>
  decodeGroupRecord({ key: bytesOf(key), value: value === null ? null : bytesOf(value) }, 99);

it("writes Kafka's bytes for an offset, with an expiry of its own in the version that has one", () => {
  const plain = offsetRecord('readers', 'orders', 3, offset);
  expect([hexOf(plain.key), hexOf(plain.value)]).toEqual([golden.offsetKey, golden.offsetValue3]);
  const expiring = offsetRecord('readers', 'orders', 3, { ...offset, expireTimestampMs: 1_700_000_600_000 });
  expect(hexOf(expiring.value)).toBe(golden.offsetValue1);
  expect(offsetRecord('readers', 'orders', 3, null).value).toBeNull();
});

it("writes Kafka's bytes for a group", () => {
  const record = groupRecord('readers', group);
  expect([hexOf(record.key), hexOf(record.value)]).toEqual([golden.groupKey, golden.groupValue3]);
  expect(groupRecord('readers', null).value).toBeNull();
});

it('reads offsets of every version that Kafka has written, and their tombstones', () => {
  const of = (value: CommittedOffset | null): unknown => ({
    kind: 'offset',
    groupId: 'readers',
    topic: 'orders',
    partition: 3,
    value,
  });
  expect(decode(golden.offsetKey, golden.offsetValue3)).toEqual(of(offset));
  expect(decode(golden.offsetKey, golden.offsetValue4)).toEqual(of(offset));
  const expiring = { ...offset, leaderEpoch: -1, expireTimestampMs: 1_700_000_600_000 };
  expect(decode(golden.offsetKey, golden.offsetValue1)).toEqual(of(expiring));
  expect(decode(golden.offsetKey, null)).toEqual(of(null));
});

it('reads groups of the newest version and of the oldest, which lacks rebalance timeout and state timestamp', () => {
  const of = (value: StoredGroup | null): unknown => ({ kind: 'group', groupId: 'readers', value });
  expect(decode(golden.groupKey, golden.groupValue3)).toEqual(of(group));
  const oldest = { ...group.members[0]!, groupInstanceId: null, rebalanceTimeoutMs: 45_000 };
  expect(decode(golden.groupKey, golden.groupValue0)).toEqual(
    of({ ...group, stateTimestampMs: null, members: [oldest] }),
  );
  expect(decode(golden.groupKey, null)).toEqual(of(null));
});

it('leaves aside what has a key of another kind', () => {
  expect(decode('0008000772656164657273', '0000')).toBeUndefined();
});
