import { KafkaStorageError } from '@millrace/log';
import { silentLogger } from '@millrace/platform';
import {
  apis,
  decodeRequestHeader,
  decodeResponse,
  encodeRequest,
  readBatchHeader,
  setBaseOffset,
} from '@millrace/protocol';
import { describe, expect, it } from 'vitest';
import { batchOf, valuesOf } from '../testing/batches.ts';
import { TestBroker } from '../testing/memory-broker.ts';
import { produce } from './00-produce.ts';
import { errorCodes } from './error-codes.ts';
import type { ConnectionContext } from './handler.ts';
import type { KafkaServices } from './kafka-services.ts';

const magicAt = 16;
const crcAt = 17;

describe('Produce', () => {
  it('answers the base offset of each batch, in order, and log-append time −1 on a CreateTime topic', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    expect(await test.produce('orders', batchOf(['a', 'b', 'c']))).toMatchObject({
      errorCode: errorCodes.NONE,
      baseOffset: 0,
      logAppendTimeMs: -1,
      logStartOffset: 0,
    });
    expect(await test.produce('orders', batchOf(['d']))).toMatchObject({ errorCode: 0, baseOffset: 3 });
    expect(valuesOf((await test.fetch('orders', 0)).records)).toEqual([
      [0, 'a'],
      [1, 'b'],
      [2, 'c'],
      [3, 'd'],
    ]);
  });

  it.each([
    ['a topic that does not exist', 'nowhere', 0, errorCodes.UNKNOWN_TOPIC_OR_PARTITION],
    ['a partition past the last', 'orders', 1, errorCodes.UNKNOWN_TOPIC_OR_PARTITION],
    ['a negative partition', 'orders', -1, errorCodes.UNKNOWN_TOPIC_OR_PARTITION],
  ])('refuses %s, and creates nothing', async (_what, topic, partition, errorCode) => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    expect(await test.produce(topic, batchOf(['a']), { partition })).toMatchObject({ errorCode, baseOffset: -1 });
    const { topics } = await test.client.request(apis.metadata, 9, { topics: null });
    expect(topics.map(({ name }) => name)).toEqual(['orders']);
  });

  it('refuses a partition without records alone, and appends the others of the request', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders', { partitions: 3 });
    const { responses } = await test.client.request(apis.produce, 9, {
      acks: -1,
      timeoutMs: 1000,
      topicData: [
        {
          name: 'orders',
          partitionData: [
            { index: 0, records: null },
            { index: 1, records: batchOf(['kept']) },
            { index: 2, records: new Uint8Array(0) },
          ],
        },
      ],
    });
    expect(responses[0]?.partitionResponses.map(({ errorCode }) => errorCode)).toEqual([
      errorCodes.INVALID_RECORD,
      errorCodes.NONE,
      errorCodes.INVALID_RECORD,
    ]);
    expect(valuesOf((await test.fetch('orders', 0, { partition: 1 })).records)).toEqual([[0, 'kept']]);
  });

  it('refuses two batches for one partition: version 3 and later carry exactly one', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    const two = Buffer.concat([batchOf(['a']), batchOf(['b'])]);
    expect(await test.produce('orders', two)).toMatchObject({ errorCode: errorCodes.INVALID_RECORD });
    expect((await test.fetch('orders', 0)).highWatermark).toBe(0);
  });

  it.each([
    [0, errorCodes.UNSUPPORTED_FOR_MESSAGE_FORMAT],
    [2, errorCodes.UNSUPPORTED_FOR_MESSAGE_FORMAT],
    [3, errorCodes.INVALID_RECORD],
    [9, errorCodes.INVALID_RECORD],
  ])('refuses message formats before magic 2, in version %i with error %i', async (version, errorCode) => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    for (const magic of [0, 1]) {
      const old = batchOf(['a']);
      old[magicAt] = magic;
      expect(await test.produce('orders', old, { version })).toMatchObject({ errorCode });
    }
  });

  it('takes zstd from version 7 on, and refuses it before', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    const zstd = batchOf(['a']);
    const { attributes } = readBatchHeader(zstd, 0);
    zstd[22] = (attributes & ~7) | 4; // what is inside is not looked at before the version is
    expect(await test.produce('orders', zstd, { version: 6 })).toMatchObject({
      errorCode: errorCodes.UNSUPPORTED_COMPRESSION_TYPE,
    });
    expect(await test.produce('orders', zstd, { version: 7 })).toMatchObject({
      errorCode: errorCodes.CORRUPT_MESSAGE, // the codec bit lies inside the CRC
    });
  });

  it('refuses a batch whose CRC does not fit', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    const torn = batchOf(['a']);
    torn[crcAt]! ^= 1;
    expect(await test.produce('orders', torn)).toMatchObject({ errorCode: errorCodes.CORRUPT_MESSAGE });
  });

  it('takes a batch of max.message.bytes, and refuses one byte more before it looks at the CRC', async () => {
    await using test = await TestBroker.open();
    const batch = batchOf(['x'.repeat(100)]);
    await test.createTopic('fits', { configs: { 'max.message.bytes': String(batch.length) } });
    await test.createTopic('tight', { configs: { 'max.message.bytes': String(batch.length - 1) } });
    expect(await test.produce('fits', batch)).toMatchObject({ errorCode: errorCodes.NONE });
    const torn = batchOf(['x'.repeat(100)]);
    torn[crcAt]! ^= 1;
    expect(await test.produce('tight', torn)).toMatchObject({ errorCode: errorCodes.MESSAGE_TOO_LARGE });
  });

  it('refuses a base offset other than 0 from a client', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    const shifted = batchOf(['a']);
    setBaseOffset(shifted, 0, 7);
    expect(await test.produce('orders', shifted)).toMatchObject({ errorCode: errorCodes.INVALID_RECORD });
  });

  it('names the records without a key that a compacted topic refuses, and appends none of the batch', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('table', { configs: { 'cleanup.policy': 'compact' } });
    const batch = batchOf([{ key: 'k', value: '1' }, { value: '2' }, { key: null, value: '3' }]);
    const answer = await test.produce('table', batch);
    expect(answer).toMatchObject({ errorCode: errorCodes.INVALID_RECORD, baseOffset: -1 });
    expect(answer.recordErrors.map(({ batchIndex }) => batchIndex)).toEqual([1, 2]);
    expect((await test.fetch('table', 0)).highWatermark).toBe(0);
  });

  it('refuses control batches from clients', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    const control = batchOf([{ key: '\0\0\0\x01', value: '\0\0\0\0\0\0' }], { isControl: true });
    expect(await test.produce('orders', control)).toMatchObject({ errorCode: errorCodes.INVALID_RECORD });
  });

  it('sets the time of appending on a LogAppendTime topic, and answers it', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders', { configs: { 'message.timestamp.type': 'LogAppendTime' } });
    const before = Date.now();
    const { logAppendTimeMs } = await test.produce('orders', batchOf([{ value: 'a', timestampMs: 5 }]));
    expect(logAppendTimeMs).toBeGreaterThanOrEqual(before);
    const { records } = await test.fetch('orders', 0);
    expect(readBatchHeader(records as Uint8Array, 0).maxTimestamp).toBe(logAppendTimeMs);
  });

  it('answers a repeated batch of an idempotent producer with its first offset, and appends nothing', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    const batch = (baseSequence: number): Uint8Array =>
      batchOf(['a', 'b'], { producerId: 4, producerEpoch: 0, baseSequence });
    expect(await test.produce('orders', batch(0))).toMatchObject({ errorCode: 0, baseOffset: 0 });
    expect(await test.produce('orders', batch(2))).toMatchObject({ errorCode: 0, baseOffset: 2 });
    expect(await test.produce('orders', batch(0))).toMatchObject({ errorCode: 0, baseOffset: 0 });
    expect(await test.produce('orders', batch(5))).toMatchObject({
      errorCode: errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER,
    });
    expect((await test.fetch('orders', 0)).highWatermark).toBe(4);
  });

  it.each([-2, 2])('refuses acks=%i for every partition', async (acks) => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    expect(await test.produce('orders', batchOf(['a']), { acks })).toMatchObject({
      errorCode: errorCodes.INVALID_REQUIRED_ACKS,
    });
  });

  describe('over commits that are held back', () => {
    /** One request for as many partitions as there are commits, one for each. */
    function answerOver(commits: readonly Promise<void>[]): Promise<readonly number[]> {
      const logs = commits.map((done) => ({
        append: () => ({ baseOffset: 0, logAppendTimeMs: -1, logStartOffset: 0, commit: { done } }),
      }));
      const services = { topics: { topic: () => ({ isInternal: false, logs }) }, logger: silentLogger };
      const handler = produce(services as unknown as KafkaServices);
      const partitionData = commits.map((_, index) => ({ index, records: batchOf(['a']) }));
      const frame = Buffer.concat(
        encodeRequest(
          apis.produce,
          9,
          { correlationId: 1, clientId: 'raw' },
          { acks: 1, topicData: [{ name: 'orders', partitionData }] },
        ).parts,
      ).subarray(4);
      const answer = handler.respond(frame, decodeRequestHeader(frame), {} as ConnectionContext);
      return Promise.resolve(answer).then((whole) => {
        const { responses } = decodeResponse(apis.produce, 9, Buffer.concat(whole!.parts).subarray(4));
        return responses[0]!.partitionResponses.map(({ errorCode }) => errorCode);
      });
    }

    it('answers when all of them are done: a repeated batch may belong to an earlier one than the batch beside it', async () => {
      const settle: (() => void)[] = [];
      const commits = [0, 1, 2].map(() => new Promise<void>((resolve) => void settle.push(resolve)));
      let codes: readonly number[] | undefined;
      const answered = answerOver(commits).then((given) => (codes = given));
      for (const finish of settle) {
        await new Promise(setImmediate);
        expect(codes).toBeUndefined();
        finish();
      }
      await answered;
      expect(codes).toEqual([0, 0, 0]);
    });

    it('acknowledges none of the batches when one of them fails', async () => {
      const failure = new KafkaStorageError('The disk failed.', {});
      const code = errorCodes.KAFKA_STORAGE_ERROR;
      expect(await answerOver([Promise.resolve(), Promise.reject(failure)])).toEqual([code, code]);
    });
  });

  it('does not answer acks=0, and keeps the batch', async () => {
    await using test = await TestBroker.open();
    await test.createTopic('orders');
    const topicData = [{ name: 'orders', partitionData: [{ index: 0, records: batchOf(['quiet']) }] }];
    const unanswered = test.client.post(apis.produce, 9, { acks: 0, timeoutMs: 1000, topicData });
    const fetched = await test.fetch('orders', 0, { maxWaitMs: 1000 });
    expect(valuesOf(fetched.records)).toEqual([[0, 'quiet']]);
    expect(test.client.answered).not.toContain(unanswered);
  });

  it('closes the connection on an error with acks=0: there is no other way to tell', async () => {
    await using test = await TestBroker.open();
    const topicData = [{ name: 'nowhere', partitionData: [{ index: 0, records: batchOf(['a']) }] }];
    test.client.post(apis.produce, 9, { acks: 0, timeoutMs: 1000, topicData });
    await test.client.closed;
    expect(test.client.answered).toEqual([]);
  });

  it('refuses clients that write to internal topics', async () => {
    await using test = await TestBroker.open();
    expect(await test.produce('__consumer_offsets', batchOf(['a']))).toMatchObject({
      errorCode: errorCodes.UNKNOWN_TOPIC_OR_PARTITION, // it is not made for that either
    });
  });

  it.each([
    [10, errorCodes.INVALID_TXN_STATE],
    [11, errorCodes.TRANSACTION_ABORTABLE],
  ])(
    'refuses a batch for a partition that its transaction does not have, in version %i with error %i',
    async (version, errorCode) => {
      await using test = await TestBroker.open();
      await test.createTopic('orders');
      const batch = batchOf(['a'], { producerId: 4, producerEpoch: 0, baseSequence: 0, isTransactional: true });
      expect(await test.produce('orders', batch, { version, transactionalId: 'pay' })).toMatchObject({ errorCode });
      expect((await test.fetch('orders', 0)).highWatermark).toBe(0);
    },
  );
});
