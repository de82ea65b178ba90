import { nodePlatform } from '@millrace/platform';
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
  broker.on(apis.produce, (request) => {
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
