import { delay, nodePlatform } from '@millrace/platform';
import { SeededRandom, VirtualClock } from '@millrace/platform/simulated';
import { apis, errorCodes, type ApiSchema } from '@millrace/protocol';
import { afterEach, expect, it } from 'vitest';
import { bytesTransactionalProducer, type BytesTransactionalProducer } from '../bytes/index.ts';
import { Client } from '../client.ts';
import { PartitionModel } from '../testing/partition-model.ts';
import { ScriptedBroker } from '../testing/scripted-broker.ts';

const clock = new VirtualClock(1_000_000);
let client: Client | undefined;

/** Runs time until the work is done; its value, or its error's code. */
async function done<T>(work: Promise<T>): Promise<T | string> {
  let outcome: { value: T | string } | undefined;
  work.then(
    (value) => (outcome = { value }),
    (error: Error & { code?: string }) => (outcome = { value: error.code ?? error.message }),
  );
  for (let i = 0; outcome === undefined && i < 5_000; i++) await clock.advance(50);
  return outcome === undefined ? 'pending' : outcome.value;
}

interface Bench {
  readonly broker: ScriptedBroker;
  readonly log: PartitionModel;
  readonly producer: BytesTransactionalProducer;
  /** Answers the next calls of an API with these codes; then again as usual. */
  readonly answer: (api: ApiSchema, ...codes: (number | 'cut')[]) => void;
  readonly append: (value: string) => void;
}

async function open(): Promise<Bench> {
  const broker = new ScriptedBroker(clock);
  const log = new PartitionModel();
  broker.topics.set('orders', 1);
  const codes = new Map<number, (number | 'cut')[]>();
  const next = (api: ApiSchema): number | 'cut' => codes.get(api.key)?.shift() ?? errorCodes.NONE;
  let epoch = -1;
  broker.on(apis.initProducerId, () => {
    const code = next(apis.initProducerId);
    return code === 'cut' ? 'cut' : { errorCode: code, producerId: 7, producerEpoch: code === 0 ? ++epoch : -1 };
  });
  broker.on(apis.addPartitionsToTxn, (request) => {
    const code = next(apis.addPartitionsToTxn);
    if (code === 'cut') return 'cut';
    return {
      resultsByTopicV3AndBelow: request.v3AndBelowTopics.map(({ name, partitions }) => ({
        name,
        resultsByPartition: partitions.map((partitionIndex) => ({ partitionIndex, partitionErrorCode: code })),
      })),
    };
  });
  broker.on(apis.endTxn, () => {
    const code = next(apis.endTxn);
    return code === 'cut' ? 'cut' : { errorCode: code };
  });
  broker.on(apis.addOffsetsToTxn, () => {
    const code = next(apis.addOffsetsToTxn);
    return code === 'cut' ? 'cut' : { errorCode: code };
  });
  broker.on(apis.produce, async (request) => {
    await delay(clock, 20); // so that others are sent meanwhile
    const code = next(apis.produce);
    if (code === 'cut') return 'cut';
    const { index, records } = request.topicData[0]!.partitionData[0]!;
    const { errorCode, baseOffset } =
      code === 0 ? log.append(records as Uint8Array) : { errorCode: code, baseOffset: -1 };
    return { responses: [{ name: 'orders', partitionResponses: [{ index, errorCode, baseOffset }] }] };
  });
  const connecting = Client.connect(broker, { platform: { ...nodePlatform(), clock, random: new SeededRandom(1) } });
  await clock.advance(10);
  client = await connecting;
  const producer = bytesTransactionalProducer(client, { transactionalId: 'billing' });
  expect(await done(producer.init())).toBeUndefined();
  return {
    broker,
    log,
    producer,
    answer: (api, ...next) => void codes.set(api.key, next),
    append: (value) => void producer.append('orders', 0, 1, null, Buffer.from(value)),
  };
}

afterEach(async () => {
  if (client !== undefined) await done(client.close());
  client = undefined;
});

it('adds a partition before its first batch, once a transaction, and ends what it has begun', async () => {
  const { broker, producer, append, log } = await open();
  producer.begin();
  append('a');
  expect(await done(producer.flush())).toBeUndefined();
  append('b');
  expect(await done(producer.commit())).toBeUndefined();
  expect(broker.calls).toEqual(['InitProducerId', 'AddPartitionsToTxn', 'Produce', 'Produce', 'EndTxn']);
  producer.begin();
  expect(await done(producer.commit())).toBeUndefined();
  expect(broker.calls.length, 'an empty transaction asks nobody').toBe(5);
  expect(log.values).toEqual(['a', 'b']);
});

it('comes again while the markers of the last transaction are being written, and when the coordinator has moved', async () => {
  const { broker, producer, answer, append, log } = await open();
  answer(apis.addPartitionsToTxn, errorCodes.CONCURRENT_TRANSACTIONS, errorCodes.NOT_COORDINATOR);
  answer(apis.endTxn, errorCodes.COORDINATOR_LOAD_IN_PROGRESS, 'cut');
  producer.begin();
  append('a');
  expect(await done(producer.commit())).toBeUndefined();
  expect(broker.calls.filter((name) => name === 'AddPartitionsToTxn').length).toBe(3);
  expect(broker.calls.filter((name) => name === 'EndTxn').length).toBe(3);
  expect(log.values).toEqual(['a']);
});

it('can only abort after a batch has failed, and goes on with a higher epoch', async () => {
  const { broker, producer, answer, append, log } = await open();
  answer(apis.produce, errorCodes.INVALID_RECORD);
  producer.begin();
  append('refused');
  expect(await done(producer.commit())).toBe('INVALID_RECORD');
  expect(await done(producer.commit())).toBe('INVALID_RECORD');
  expect(() => append('late')).toThrow(expect.objectContaining({ code: 'INVALID_RECORD' }));
  expect(await done(producer.abort())).toBeUndefined();
  producer.begin();
  append('next');
  expect(await done(producer.commit())).toBeUndefined();
  expect(log.values).toEqual(['next']);
  expect(broker.calls.filter((name) => name === 'InitProducerId').length).toBe(2);
});

it('does not send what was appended and not sent when it aborts', async () => {
  const { producer, append, log } = await open();
  producer.begin();
  append('dropped');
  expect(await done(producer.abort())).toBeUndefined();
  producer.begin();
  append('kept');
  expect(await done(producer.commit())).toBeUndefined();
  expect(log.values).toEqual(['kept']);
});

it.each([
  ['Produce', apis.produce, errorCodes.INVALID_PRODUCER_EPOCH],
  ['AddPartitionsToTxn', apis.addPartitionsToTxn, errorCodes.PRODUCER_FENCED],
  ['EndTxn', apis.endTxn, errorCodes.PRODUCER_FENCED],
])('is fenced for good when %s says so', async (_name, api, code) => {
  const { producer, answer, append } = await open();
  answer(api, code);
  producer.begin();
  append('zombie');
  expect(await done(producer.commit())).toBe('PRODUCER_FENCED');
  expect(await done(producer.abort())).toBe('PRODUCER_FENCED');
  expect(() => producer.begin()).toThrow(expect.objectContaining({ code: 'PRODUCER_FENCED' }));
  expect(await done(producer.close())).toBeUndefined();
});

it('says what to do when it is called out of turn', async () => {
  const { producer, append } = await open();
  const wrong = expect.objectContaining({ code: 'INVALID_TXN_STATE' }) as Error;
  expect(() => append('x')).toThrow(wrong);
  expect(await done(producer.commit())).toBe('INVALID_TXN_STATE');
  expect(await done(producer.init())).toBe('INVALID_TXN_STATE');
  producer.begin();
  expect(() => producer.begin()).toThrow(wrong);
  expect(await done(producer.abort())).toBeUndefined();
});

it('sends again, and in order, what was refused for what is in front of it', async () => {
  const { producer, answer, append, log } = await open();
  producer.begin();
  append('known');
  expect(await done(producer.flush())).toBeUndefined();
  answer(apis.produce, errorCodes.NOT_LEADER_OR_FOLLOWER);
  for (const value of ['a', 'b', 'c']) {
    append(value);
    await clock.advance(0); // a batch each, all on their way
  }
  expect(await done(producer.commit())).toBeUndefined();
  expect(log.values).toEqual(['known', 'a', 'b', 'c']);
});

it('splits a batch that is too large while others are behind it', async () => {
  const { producer, answer, append, log } = await open();
  producer.begin();
  append('known');
  expect(await done(producer.flush())).toBeUndefined();
  answer(apis.produce, errorCodes.MESSAGE_TOO_LARGE);
  append('a');
  append('b');
  await clock.advance(0);
  append('c');
  await clock.advance(0);
  expect(await done(producer.commit())).toBeUndefined();
  expect(log.values).toEqual(['known', 'a', 'b', 'c']);
});

it('must abort when the broker has lost its sequence, and goes on with a higher epoch', async () => {
  const { broker, producer, answer, append, log } = await open();
  producer.begin();
  append('known');
  expect(await done(producer.flush())).toBeUndefined();
  answer(apis.produce, errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER);
  append('a');
  expect(await done(producer.commit())).toBe('OUT_OF_ORDER_SEQUENCE_NUMBER');
  expect(await done(producer.abort())).toBeUndefined();
  producer.begin();
  append('next');
  expect(await done(producer.commit())).toBeUndefined();
  expect(log.values).toEqual(['known', 'next']);
  expect(broker.calls.filter((name) => name === 'InitProducerId').length).toBe(2);
});

it('does not wait for what cannot be sent any more once one batch has failed', async () => {
  const { producer, answer, append } = await open();
  producer.begin();
  append('known');
  expect(await done(producer.flush())).toBeUndefined();
  answer(apis.produce, errorCodes.INVALID_RECORD, errorCodes.NOT_LEADER_OR_FOLLOWER);
  append('refused');
  await clock.advance(0);
  append('comes back');
  await clock.advance(0);
  const startMs = clock.monotonic();
  expect(await done(producer.commit())).toBe('INVALID_RECORD');
  expect(clock.monotonic() - startMs).toBeLessThan(1_000);
});

it('aborts a transaction of which the coordinator may know nothing', async () => {
  const { producer, answer, append, log } = await open();
  answer(apis.addPartitionsToTxn, errorCodes.TOPIC_AUTHORIZATION_FAILED);
  answer(apis.endTxn, errorCodes.INVALID_TXN_STATE); // what Kafka says to an abort where nothing has begun
  producer.begin();
  append('refused');
  expect(await done(producer.commit())).toBe('TOPIC_AUTHORIZATION_FAILED');
  expect(await done(producer.abort())).toBeUndefined();
  producer.begin();
  append('next');
  expect(await done(producer.commit())).toBeUndefined();
  expect(log.values).toEqual(['next']);
});

it('ends also what the coordinator may have begun with offsets whose answer was lost', async () => {
  const { broker, producer, answer } = await open();
  answer(apis.addOffsetsToTxn, errorCodes.INVALID_PRODUCER_ID_MAPPING);
  const group = { groupId: 'g', generationId: 1, memberId: 'm', groupInstanceId: null };
  producer.begin();
  expect(await done(producer.sendOffsets([{ topic: 'orders', partition: 0, offset: 1 }], group))).toBe(
    'INVALID_PRODUCER_ID_MAPPING',
  );
  expect(await done(producer.abort())).toBeUndefined();
  expect(broker.calls.at(-1)).toBe('EndTxn');
});

it('is of no more use, and says so, when its epoch could not be raised', async () => {
  const { producer, answer, append } = await open();
  answer(apis.produce, errorCodes.INVALID_RECORD);
  producer.begin();
  append('refused');
  expect(await done(producer.commit())).toBe('INVALID_RECORD');
  answer(apis.initProducerId, errorCodes.TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
  expect(await done(producer.abort())).toBe('TRANSACTIONAL_ID_AUTHORIZATION_FAILED');
  expect(() => producer.begin()).toThrow(expect.objectContaining({ code: 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED' }));
});

it('can still abort when the coordinator says at the commit that the transaction must be', async () => {
  const { producer, answer, append } = await open();
  producer.begin();
  append('a');
  expect(await done(producer.flush())).toBeUndefined();
  answer(apis.endTxn, errorCodes.TRANSACTION_ABORTABLE);
  expect(await done(producer.commit())).toBe('TRANSACTION_ABORTABLE');
  expect(await done(producer.abort())).toBeUndefined();
  producer.begin();
  expect(await done(producer.commit())).toBeUndefined();
});

it('lets what is on its way be written before it aborts, so that nothing comes after the end', async () => {
  const { broker, log, producer, append } = await open();
  let writtenAtEnd: readonly string[] = [];
  broker.on(apis.endTxn, () => {
    writtenAtEnd = [...log.values];
    return { errorCode: errorCodes.NONE };
  });
  producer.begin();
  append('on its way');
  while (!broker.arrivals.includes('Produce')) await clock.advance(1);
  expect(await done(producer.abort())).toBeUndefined();
  expect(writtenAtEnd).toEqual(['on its way']);
});
