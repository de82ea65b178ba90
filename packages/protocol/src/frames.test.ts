import { describe, expect, it } from 'vitest';
import {
  apiOf,
  apis,
  decodeMessage,
  decodeRequest,
  decodeRequestHeader,
  decodeResponse,
  encodeMessage,
  encodeRequest,
  encodeResponse,
  latestVersion,
  messageVersion,
  recordSchemas,
  type OutgoingFrame,
} from './index.ts';

/** Spaces and line ends set off fields; `'abc'` stands for its bytes. */
function bytes(spelled: string): Buffer {
  const hex = spelled.replaceAll(/'([^']*)'/g, (_, text: string) => Buffer.from(text).toString('hex'));
  return Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
}

/** Without the length prefix, which is checked. */
function sent(frame: OutgoingFrame): string {
  const all = Buffer.concat(frame.parts);
  expect([frame.byteLength, all.readInt32BE(0)]).toEqual([all.length, all.length - 4]);
  return all.subarray(4).toString('hex');
}

const isProtocolError = expect.objectContaining({ code: 'PROTOCOL_ERROR' });
const header = { correlationId: 7, clientId: 'abc' };

describe('requests on the wire', () => {
  it('ApiVersions v4: header 2, whose client id is not compact', () => {
    // As kafka-cli sends it.
    const expected = bytes("0012 0004 6f7fc661 0009'kafka-cli' 00 0a'kafka-cli' 04'0.1' 00");
    const frame = encodeRequest(
      apis.apiVersions,
      4,
      { correlationId: 0x6f7fc661, clientId: 'kafka-cli' },
      { clientSoftwareName: 'kafka-cli', clientSoftwareVersion: '0.1' },
    );
    expect(sent(frame)).toBe(expected.toString('hex'));
    expect(decodeRequestHeader(expected)).toEqual({
      apiKey: 18,
      apiVersion: 4,
      correlationId: 0x6f7fc661,
      clientId: 'kafka-cli',
      bodyPosition: 20,
    });
    expect(decodeRequest(apis.apiVersions, 4, expected, 20)).toEqual({
      clientSoftwareName: 'kafka-cli',
      clientSoftwareVersion: '0.1',
    });
  });

  it('Produce v3: header 1, lengths of fixed size', () => {
    const records = Buffer.from('hello');
    const frame = encodeRequest(
      apis.produce,
      3,
      { correlationId: 7, clientId: null },
      {
        transactionalId: 't-1',
        acks: 1,
        timeoutMs: 1500,
        topicData: [{ name: 't', partitionData: [{ index: 2, records }] }],
      },
    );
    const expected = bytes(
      "0000 0003 00000007 ffff 0003't-1' 0001 000005dc 00000001 0001't' 00000001 00000002 00000005'hello'",
    );
    expect(sent(frame)).toBe(expected.toString('hex'));
    expect(decodeRequest(apis.produce, 3, expected, 10)).toEqual({
      transactionalId: 't-1',
      acks: 1,
      timeoutMs: 1500,
      topicData: [{ name: 't', partitionData: [{ index: 2, records: new Uint8Array(records) }] }],
    });
  });

  it('Produce v9: compact lengths, and tags at the end of each struct', () => {
    const records = Buffer.from('hello');
    const frame = encodeRequest(apis.produce, 9, header, {
      acks: -1,
      timeoutMs: 1000,
      topicData: [{ name: 't', partitionData: [{ index: 3, records }] }],
    });
    expect(sent(frame)).toBe(
      bytes("0000 0009 00000007 0003'abc' 00 00 ffff 000003e8 02 02't' 02 00000003 06'hello' 00 00 00").toString('hex'),
    );
    expect(frame.parts.map(({ length }) => length)).toEqual([34, 5, 3]);
    expect(frame.parts[1]).toBe(records);
  });

  it('a Fetch of a huge offset is read as the largest safe one: it is out of range either way', () => {
    const frame = encodeRequest(apis.fetch, 4, header, {
      topics: [{ topic: 't', partitions: [{ partition: 0, fetchOffset: 77 }] }],
    });
    const wire = Buffer.concat(frame.parts).subarray(4);
    wire.set(bytes('7fffffffffffffff'), wire.indexOf(bytes('000000000000004d')));
    const { bodyPosition } = decodeRequestHeader(wire);
    const [topic] = decodeRequest(apis.fetch, 4, wire, bodyPosition).topics;
    expect(topic!.partitions[0]!.fetchOffset).toBe(Number.MAX_SAFE_INTEGER);
  });
});

describe('responses on the wire', () => {
  it('ApiVersions v0, as it answers any unsupported version', () => {
    const frame = encodeResponse(apis.apiVersions, 0, 5, {
      errorCode: 35,
      apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 4 }],
    });
    expect(sent(frame)).toBe(bytes('00000005 0023 00000001 0012 0000 0004').toString('hex'));
  });

  it('ApiVersions v3 has tags in its body, but never in its header', () => {
    const expected = bytes('00000005 0000 02 0012 0000 0004 00 00000000 01 01 08 0000000000000009');
    const message = { apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 4 }], finalizedFeaturesEpoch: 9 };
    expect(sent(encodeResponse(apis.apiVersions, 3, 5, message))).toBe(expected.toString('hex'));
    expect(decodeResponse(apis.apiVersions, 3, expected)).toEqual({
      errorCode: 0,
      apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 4 }],
      throttleTimeMs: 0,
      supportedFeatures: [],
      finalizedFeaturesEpoch: 9,
      finalizedFeatures: [],
      zkMigrationReady: false,
    });
  });

  it('Fetch v4', () => {
    const stored = [Buffer.from('ab'), Buffer.from(''), Buffer.from('c')];
    const frame = encodeResponse(apis.fetch, 4, 6, {
      responses: [
        {
          topic: 't',
          partitions: [
            {
              partitionIndex: 2,
              highWatermark: 10,
              lastStableOffset: 9,
              abortedTransactions: [{ producerId: 7, firstOffset: 3 }],
              records: stored,
            },
          ],
        },
      ],
    });
    expect(sent(frame)).toBe(
      bytes(`00000006 00000000 00000001 0001't' 00000001
        00000002 0000 000000000000000a 0000000000000009
        00000001 0000000000000007 0000000000000003 00000003'abc'`).toString('hex'),
    );
    expect(frame.parts.slice(1)).toEqual([stored[0], stored[2]]);
    expect(frame.parts[1]).toBe(stored[0]);
  });

  it('Fetch v12: a tagged struct is sent only if it is not the default', () => {
    const partition = { partitionIndex: 2, highWatermark: 10, lastStableOffset: 9, logStartOffset: 1, records: null };
    const message = (currentLeader: { leaderId: number; leaderEpoch: number }) => ({
      responses: [{ topic: 't', partitions: [{ ...partition, abortedTransactions: null, currentLeader }] }],
    });
    const body = `00000006 00 00000000 0000 00000000 02 02't' 02
      00000002 0000 000000000000000a 0000000000000009 0000000000000001 00 ffffffff 00`;
    const moved = bytes(`${body} 01 01 09 00000005 00000008 00 00 00`);
    expect(sent(encodeResponse(apis.fetch, 12, 6, message({ leaderId: 5, leaderEpoch: 8 })))).toBe(
      moved.toString('hex'),
    );
    expect(sent(encodeResponse(apis.fetch, 12, 6, message({ leaderId: -1, leaderEpoch: -1 })))).toBe(
      bytes(`${body} 00 00 00`).toString('hex'),
    );
    expect(decodeResponse(apis.fetch, 12, moved).responses[0]!.partitions[0]).toEqual({
      ...partition,
      errorCode: 0,
      divergingEpoch: { epoch: -1, endOffset: -1 },
      currentLeader: { leaderId: 5, leaderEpoch: 8 },
      snapshotId: { endOffset: -1, epoch: -1 },
      abortedTransactions: null,
      preferredReadReplica: -1,
    });
  });

  it('Fetch v13: topics by uuid', () => {
    const topicId = '01234567-89ab-cdef-fedc-ba9876543210';
    const expected = bytes('00000006 00 00000000 0000 00000000 02 0123456789abcdeffedcba9876543210 01 00 00');
    const frame = encodeResponse(apis.fetch, 13, 6, { responses: [{ topicId: topicId.toUpperCase() }] });
    expect(sent(frame)).toBe(expected.toString('hex'));
    expect(decodeResponse(apis.fetch, 13, expected).responses[0]!.topicId).toBe(topicId);
  });

  it('tags that we do not know are skipped, in header and body', () => {
    const wire = bytes('00000005 01 07 02 abcd 00000000 0000 02 05 03 010203 f07f 00');
    expect(decodeResponse(apis.heartbeat, 4, wire)).toEqual({ throttleTimeMs: 0, errorCode: 0 });
  });
});

describe('records and metadata on the wire, their version in front', () => {
  it('keys of __consumer_offsets: the version tells the kind', () => {
    const commit = bytes("0001 0001'g' 0001't' 00000003");
    expect(encodeMessage(recordSchemas.offsetCommitKey, 1, { group: 'g', topic: 't', partition: 3 })).toEqual(commit);
    expect(messageVersion(commit)).toBe(1);
    expect(decodeMessage(recordSchemas.offsetCommitKey, 1, commit)).toEqual({ group: 'g', topic: 't', partition: 3 });
    expect(encodeMessage(recordSchemas.groupMetadataKey, 2, { group: 'g' })).toEqual(bytes("0002 0001'g'"));
  });

  it('a committed offset, version 3', () => {
    const value = { offset: 258, leaderEpoch: 4, metadata: 'm', commitTimestamp: 1_700_000_000_000 };
    expect(encodeMessage(recordSchemas.offsetCommitValue, 3, value)).toEqual(
      bytes("0003 0000000000000102 00000004 0001'm' 0000018bcfe56800"),
    );
  });

  it('the state of a transaction, version 1', () => {
    const value = {
      producerId: 1,
      previousProducerId: 2,
      producerEpoch: 3,
      transactionTimeoutMs: 60_000,
      transactionStatus: 1,
      transactionPartitions: [{ topic: 't', partitionIds: [0, 5] }],
      transactionLastUpdateTimestampMs: 10,
      transactionStartTimestampMs: 9,
      clientTransactionVersion: 2,
    };
    expect(encodeMessage(recordSchemas.transactionLogValue, 1, value)).toEqual(
      bytes(`0001 0000000000000001 0003 0000ea60 01 02 02't' 03 00000000 00000005 00
        000000000000000a 0000000000000009 02 00 08 0000000000000002 02 02 0002`),
    );
  });

  it('a subscription, version 1', () => {
    const expected = bytes("0001 00000001 0001't' ffffffff 00000001 0001't' 00000002 00000000 00000001");
    const value = { topics: ['t'], ownedPartitions: [{ topic: 't', partitions: [0, 1] }] };
    expect(encodeMessage(recordSchemas.consumerProtocolSubscription, 1, value)).toEqual(expected);
  });

  it('of a version to come are read as the highest known, what they add left unread', () => {
    const later = bytes("0009 00000001 0001't' ffffffff 00000000 00000005 0001'r' 01020304");
    expect(decodeMessage(recordSchemas.consumerProtocolSubscription, 3, later)).toEqual({
      topics: ['t'],
      userData: null,
      ownedPartitions: [],
      generationId: 5,
      rackId: 'r',
    });
    expect(() => decodeMessage(recordSchemas.consumerProtocolSubscription, 3, bytes('0002 00000000'))).toThrow(
      isProtocolError,
    );
    expect(() => messageVersion(bytes('00'))).toThrow(isProtocolError);
  });
});

describe('decodeRequestHeader', () => {
  it('reads a null client id and skips tags of the header', () => {
    expect(decodeRequestHeader(bytes('0000 0009 00000001 ffff 01 05 01 aa 00'))).toEqual({
      apiKey: 0,
      apiVersion: 9,
      correlationId: 1,
      clientId: null,
      bodyPosition: 14,
    });
  });

  it('reads that of a key or version we do not know, as far as it goes', () => {
    expect(decodeRequestHeader(bytes("7fff 0000 00000001 0003'abc' ffff"))).toEqual({
      apiKey: 0x7fff,
      apiVersion: 0,
      correlationId: 1,
      clientId: 'abc',
      bodyPosition: 13,
    });
    expect(decodeRequestHeader(bytes("0012 0063 00000002 0003'abc' 00 02'x' 02'y' 00"))).toMatchObject({
      apiVersion: 99,
      clientId: 'abc',
      bodyPosition: 14,
    });
    expect(decodeRequestHeader(bytes('0012 0063 00000002 7fff'))).toEqual({
      apiKey: 18,
      apiVersion: 99,
      correlationId: 2,
      clientId: null,
      bodyPosition: 10,
    });
  });

  it('refuses less than eight bytes, and a damaged client id of what we know', () => {
    expect(() => decodeRequestHeader(bytes('0012 0004 6f7fc6'))).toThrow(isProtocolError);
    expect(() => decodeRequestHeader(bytes('0012 0004 6f7fc661 7fff 00'))).toThrow(isProtocolError);
    expect(() => decodeRequestHeader(bytes('0012 0004 6f7fc661 fffe 00'))).toThrow(isProtocolError);
  });
});

describe('what cannot be read', () => {
  const read = (version: number, body: string) => decodeRequest(apis.metadata, version, bytes(body), 0);

  it('a count of elements that the rest of the frame cannot hold is refused before memory is taken for it', () => {
    const before = process.memoryUsage().heapUsed;
    // Three bytes are left: room for no topic name of two, or for one, but not 2^31 − 1.
    expect(() => read(1, '7fffffff 000000')).toThrow('claims 2147483647 elements, but 3 bytes are left');
    expect(() => read(1, '00000002 000000')).toThrow('claims 2 elements, but 3 bytes are left');
    expect(() => read(9, 'ffffffff07 000000')).toThrow('claims 2147483646 elements, but 3 bytes are left');
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(10_000_000);
  });

  it('a count of elements is held against the least that one takes in the version', () => {
    const topicsOf = (version: number, body: string) =>
      decodeRequest(apis.addPartitionsToTxn, version, bytes(body), 0).v3AndBelowTopics;
    const empty = { name: '', partitions: [] };
    const head = '0000 0000000000000001 0000 00000002';
    expect(topicsOf(0, `${head} 0000 00000000 0000 00000000`)).toEqual([empty, empty]);
    expect(() => topicsOf(0, `${head} 0000 00000000 0000 000000`)).toThrow('claims 2 elements, but 11 bytes are left');
    const flexible = '01 0000000000000001 0000 03';
    expect(topicsOf(3, `${flexible} 01 01 00 01 01 00 00`)).toEqual([empty, empty]);
    expect(() => topicsOf(3, `${flexible} 01 01 00 01 01`)).toThrow('claims 2 elements, but 5 bytes are left');
  });

  it('more elements than a request needs, however small they are', () => {
    const request = (partitions: number): Buffer => {
      const body = Buffer.alloc(12 + 4 + 2 + 4 + 4 * partitions);
      body.writeInt32BE(1, 12);
      body.writeInt32BE(partitions, 18);
      return body;
    };
    const decode = (body: Buffer) => decodeRequest(apis.addPartitionsToTxn, 0, body, 0).v3AndBelowTopics[0]!.partitions;
    expect(decode(request(999_999)).length).toBe(999_999);
    expect(() => decode(request(1_000_000))).toThrow('has more than 1000000 elements');
    // In many small lists as well: 500,001 topics of one partition.
    const topic = bytes('0000 00000001 00000000');
    const many = (count: number): Buffer =>
      Buffer.concat([Buffer.alloc(12), bytes(count.toString(16).padStart(8, '0')), ...Array(count).fill(topic)]);
    expect(() => decode(many(500_000))).not.toThrow();
    expect(() => decode(many(500_001))).toThrow('has more than 1000000 elements');
  });

  it('negative lengths other than −1, and −1 where the version has no null', () => {
    expect(read(1, 'ffffffff').topics).toBeNull();
    expect(() => read(1, 'fffffffe')).toThrow('topics before byte 4 has the negative length -2');
    expect(() => read(0, 'ffffffff')).toThrow('topics before byte 4 is null, which this version does not allow');
    expect(() => read(1, '00000001 ffff')).toThrow(isProtocolError);
  });

  it('varints above 32 bits', () => {
    expect(() => read(9, 'ffffffff1f')).toThrow('has a varint of more than 32 bits');
    expect(() => read(9, '8080808080808000')).toThrow('has a varint of more than 32 bits');
  });

  it('bytes left over', () => {
    expect(() => read(1, '00000000 00')).toThrow('MetadataRequest leaves 1 bytes after byte 4 unread');
  });

  it('compact strings above 32767 bytes', () => {
    const text = (length: number): Buffer =>
      Buffer.concat([bytes(length === 32_767 ? '80 80 02' : '81 80 02'), Buffer.alloc(length, 'x'), bytes('00')]);
    const heartbeat = (groupId: Buffer) =>
      decodeRequest(apis.heartbeat, 4, Buffer.concat([groupId.subarray(0, -1), bytes('00000000 01 00 00')]), 0);
    expect(heartbeat(text(32_767)).groupId).toHaveLength(32_767);
    expect(() => heartbeat(text(32_768))).toThrow('above 32767');
  });

  it('integers beyond ±(2^53−1), where rounding would go unnoticed', () => {
    const id = (hex: string) =>
      decodeResponse(apis.initProducerId, 0, bytes(`00000001 00000000 0000 ${hex} 0000`)).producerId;
    expect(id('001fffffffffffff')).toBe(2 ** 53 - 1);
    expect(id('ffe0000000000001')).toBe(-(2 ** 53 - 1));
    expect(id('ffffffffffffffff')).toBe(-1);
    for (const hex of [
      '0020000000000000',
      '0020000000000001',
      'ffe0000000000000',
      '7fffffffffffffff',
      '8000000000000000',
    ]) {
      expect(() => id(hex), hex).toThrow('producerId before byte 18 is an integer beyond ±(2^53−1)');
    }
  });

  it('a tag that claims more than the frame has, or that its field does not fill', () => {
    const read3 = (tags: string) => decodeResponse(apis.apiVersions, 3, bytes(`00000005 0000 01 00000000 ${tags}`));
    expect(read3('01 01 08 0000000000000009').finalizedFeaturesEpoch).toBe(9);
    expect(() => read3('01 01 09 0000000000000009')).toThrow(isProtocolError);
    expect(() => read3('01 01 09 0000000000000009 00')).toThrow('leaves 1 bytes of its tag unread');
    expect(() => read3('01 01 07 0000000000000009')).toThrow(isProtocolError);
    expect(() => read3('01 63 09 0000000000000009')).toThrow(isProtocolError);
  });

  it('versions that the API does not have', () => {
    expect(() => decodeRequest(apis.heartbeat, 5, bytes(''), 0)).toThrow(
      expect.objectContaining({
        code: 'UNSUPPORTED_VERSION',
        context: { name: 'HeartbeatRequest', version: 5, validVersions: '0-4' },
      }),
    );
    expect(() => encodeRequest(apis.heartbeat, -1, header, {})).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_VERSION' }),
    );
    expect(() => encodeMessage(recordSchemas.groupMetadataKey, 1, { group: 'g' })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_VERSION' }),
    );
  });
});

describe('what cannot be written', () => {
  it('a value that the version has no field for, unless it may be ignored', () => {
    const instance = { groupId: 'g', groupInstanceId: 'i' };
    expect(() => encodeRequest(apis.heartbeat, 2, header, instance)).toThrow(
      expect.objectContaining({
        code: 'UNSUPPORTED_FIELD',
        context: { message: 'HeartbeatRequest', version: 2, field: 'groupInstanceId' },
      }),
    );
    expect(() => encodeRequest(apis.heartbeat, 3, header, instance)).not.toThrow();
    expect(() => encodeRequest(apis.heartbeat, 2, header, { groupId: 'g', groupInstanceId: null })).not.toThrow();
    expect(sent(encodeResponse(apis.heartbeat, 0, 1, { throttleTimeMs: 5 }))).toBe('00000001' + '0000');
  });

  it('says where in the message it lies', () => {
    const forgotten = { topics: [{ topic: 't', partitions: [{ partition: 0, lastFetchedEpoch: 3 }] }] };
    expect(() => encodeRequest(apis.fetch, 11, header, forgotten)).toThrow(
      'FetchRequest version 11 cannot carry topics.partitions.lastFetchedEpoch',
    );
  });

  it('null where the version has none', () => {
    expect(() => encodeRequest(apis.metadata, 0, header, { topics: null })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_FIELD' }),
    );
    expect(() => encodeRequest(apis.metadata, 1, header, { topics: null })).not.toThrow();
    // @ts-expect-error A group id is never null.
    expect(() => encodeRequest(apis.heartbeat, 0, header, { groupId: null })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_FIELD' }),
    );
  });

  it('integers that do not fit, each limit inclusive', () => {
    const acks = (value: number) => encodeRequest(apis.produce, 3, header, { acks: value });
    expect(() => [acks(32_767), acks(-32_768)]).not.toThrow();
    for (const value of [32_768, -32_769, 0.5, Number.NaN]) {
      expect(() => acks(value), `${value}`).toThrow('Cannot write acks');
    }
    const id = (producerId: number) => encodeResponse(apis.initProducerId, 0, 1, { producerId });
    expect(() => [id(2 ** 53 - 1), id(-(2 ** 53 - 1))]).not.toThrow();
    expect(() => id(2 ** 53)).toThrow('Cannot write producerId');
  });

  it('strings above 32767 bytes of UTF-8', () => {
    const groupId = (text: string) => encodeRequest(apis.heartbeat, 0, header, { groupId: text });
    expect(() => groupId('é'.repeat(16_383) + 'x')).not.toThrow();
    expect(() => groupId('é'.repeat(16_384))).toThrow('a string of 32768 bytes exceeds 32767');
  });

  it('values of another type than their field', () => {
    // @ts-expect-error A number for a string.
    expect(() => encodeRequest(apis.heartbeat, 0, header, { groupId: 5 })).toThrow(
      'Cannot write groupId: not a string',
    );
    // @ts-expect-error A string for an array.
    expect(() => encodeRequest(apis.metadata, 1, header, { topics: 'all' })).toThrow(
      'Cannot write topics: not an array',
    );
    expect(() => encodeResponse(apis.fetch, 13, 1, { responses: [{ topicId: 'orders' }] })).toThrow(
      'Cannot write topicId: not a uuid',
    );
  });

  it('leaves no trace of what was refused in the next message', () => {
    const good = { groupId: 'group', memberId: 'm' };
    const expected = sent(encodeRequest(apis.heartbeat, 4, header, good));
    expect(() => encodeRequest(apis.heartbeat, 4, header, { ...good, generationId: 2 ** 31 })).toThrow(isProtocolError);
    expect(sent(encodeRequest(apis.heartbeat, 4, header, good))).toBe(expected);
  });
});

it('gives each message defaults of its own, which may be changed', () => {
  const read = () => decodeResponse(apis.apiVersions, 0, bytes('00000005 0000 00000000'));
  const first = read();
  first.supportedFeatures.push({ name: 'x', minVersion: 0, maxVersion: 1 });
  expect(read().supportedFeatures).toEqual([]);
  const fetched = () =>
    decodeResponse(apis.produce, 0, bytes("00000005 00000001 0001't' 00000001 00000000 0000 0000000000000007"));
  fetched().responses[0]!.partitionResponses[0]!.currentLeader.leaderId = 9;
  expect(fetched().responses[0]!.partitionResponses[0]!.currentLeader).toEqual({ leaderId: -1, leaderEpoch: -1 });
});

it('writes tagged fields in the order of their tags, however the schema lists them', () => {
  const schema = {
    name: 'Tagged',
    validVersions: '0',
    flexibleVersions: '0+',
    fields: [
      { name: 'second', type: 'int8', versions: '0+', tag: 2, taggedVersions: '0+' },
      { name: 'first', type: 'int8', versions: '0+', tag: 1, taggedVersions: '0+' },
    ],
  } as const;
  const written = encodeMessage(schema, 0, { first: 5, second: 6 });
  expect(written).toEqual(bytes('0000 02 01 01 05 02 01 06'));
  expect(decodeMessage(schema, 0, written)).toEqual({ first: 5, second: 6 });
});

it('carries structs that may be null, and the numbers that few messages have', () => {
  const schema = {
    name: 'Rare',
    validVersions: '0-1',
    flexibleVersions: '1+',
    fields: [
      { name: 'cursor', type: [{ name: 'at', type: 'uint16', versions: '0+' }], versions: '0+', nullable: '0+' },
      { name: 'mask', type: 'uint32', versions: '0+' },
      { name: 'share', type: 'float64', versions: '0+' },
    ],
  } as const;
  const rest = 'ffffffff 3ff8000000000000';
  for (const [version, value, written] of [
    [0, { cursor: { at: 65_535 }, mask: 2 ** 32 - 1, share: 1.5 }, `0000 01 ffff ${rest}`],
    [0, { cursor: null, mask: 2 ** 32 - 1, share: 1.5 }, `0000 ff ${rest}`],
    [1, { cursor: { at: 1 }, mask: 2 ** 32 - 1, share: 1.5 }, `0001 01 0001 00 ${rest} 00`],
  ] as const) {
    expect(encodeMessage(schema, version, value)).toEqual(bytes(written));
    expect(decodeMessage(schema, version, bytes(written))).toEqual(value);
  }
  expect(() => decodeMessage(schema, 0, bytes(`0000 02 ffff ${rest}`))).toThrow('is neither null nor present: 2');
});

it('finds an API by its key', () => {
  expect(apiOf(18)).toBe(apis.apiVersions);
  expect(apiOf(4)).toBeUndefined();
  expect(latestVersion(apis.produce)).toBe(12);
});
