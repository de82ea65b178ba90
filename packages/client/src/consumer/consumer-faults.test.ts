import { nodePlatform } from '@millrace/platform';
import { SeededRandom, VirtualClock } from '@millrace/platform/simulated';
import { apis, errorCodes, RecordBatchWriter, type ResponseInput } from '@millrace/protocol';
import { afterEach, expect, it } from 'vitest';
import { bytesConsumer, type BytesConsumer, type BytesConsumerOptions } from '../bytes/index.ts';
import { Client } from '../client.ts';
import { ScriptedBroker, type Outcome } from '../testing/scripted-broker.ts';

const clock = new VirtualClock(1_000_000);
let client: Client | undefined;

async function settled<T>(work: Promise<T>): Promise<T | string> {
  let outcome: { value: T | string } | undefined;
  work.then(
    (value) => (outcome = { value }),
    (error: Error & { code?: string }) => (outcome = { value: error.code ?? error.message }),
  );
  for (let i = 0; outcome === undefined && i < 20_000; i++) await clock.advance(10);
  return outcome === undefined ? 'pending' : outcome.value;
}

type PartitionAnswer = NonNullable<
  NonNullable<ResponseInput<typeof apis.fetch>['responses']>[number]['partitions']
>[number];
/** What a fetch at an offset is answered. */
type FetchScript = (offset: number) => PartitionAnswer | 'cut';

function batchAt(offset: number, count: number): Uint8Array {
  const writer = new RecordBatchWriter();
  for (let i = 0; i < count; i++) writer.append(1, null, Buffer.from(String(offset + i)));
  return writer.close({ baseOffset: offset, partitionLeaderEpoch: 0 });
}

async function open(
  script: FetchScript,
  options: Partial<BytesConsumerOptions> = {},
): Promise<[BytesConsumer, ScriptedBroker]> {
  const broker = new ScriptedBroker(clock);
  broker.topics.set('t', 1);
  broker.on(apis.fetch, async (request): Promise<Outcome<typeof apis.fetch>> => {
    const [{ fetchOffset } = { fetchOffset: -1 }] = request.topics[0]?.partitions ?? [];
    const partition = script(fetchOffset);
    if (partition === 'cut') return 'cut';
    // An empty answer is parked, as a broker does.
    if (partition.records === undefined)
      await new Promise<void>((resolve) => void clock.after(request.maxWaitMs, resolve));
    return { responses: [{ topic: 't', partitions: [{ partitionIndex: 0, highWatermark: 10, ...partition }] }] };
  });
  broker.on(apis.listOffsets, (request) => ({
    topics: [
      {
        name: 't',
        partitions: [{ partitionIndex: 0, offset: request.topics[0]?.partitions[0]?.timestamp === -2 ? 4 : 10 }],
      },
    ],
  }));
  const connecting = Client.connect(broker, { platform: { ...nodePlatform(), clock, random: new SeededRandom(5) } });
  client = (await settled(connecting)) as Client;
  const consumer = bytesConsumer(client, {
    isolationLevel: 'read_committed',
    autoOffsetReset: 'earliest',
    ...options,
  });
  return [consumer, broker];
}

async function read(consumer: BytesConsumer): Promise<string> {
  const chunk = await settled(consumer.poll(60_000));
  if (chunk === null || typeof chunk === 'string') return String(chunk);
  const offsets: number[] = [];
  chunk.forEach((reader) => offsets.push(reader.offset));
  return offsets.join();
}

afterEach(async () => {
  if (client !== undefined) await settled(client.close());
  client = undefined;
});

it('fetches again after a lost connection, a moved leader, an old epoch: each record once', async () => {
  const troubles: (FetchScript | undefined)[] = [
    () => 'cut',
    () => ({ errorCode: errorCodes.NOT_LEADER_OR_FOLLOWER }),
    undefined,
    () => ({ errorCode: errorCodes.FENCED_LEADER_EPOCH }),
    () => ({ errorCode: errorCodes.UNKNOWN_TOPIC_OR_PARTITION }),
    () => 'cut',
  ];
  const [consumer, broker] = await open((offset) => {
    const trouble = troubles.shift();
    if (trouble !== undefined) return trouble(offset);
    return offset >= 6 ? {} : { records: batchAt(offset, 3) };
  });
  consumer.assign([{ topic: 't', partition: 0, offset: 0 }]);
  expect(await read(consumer)).toBe('0,1,2');
  expect(await read(consumer)).toBe('3,4,5');
  expect(troubles).toEqual([]);
  expect(broker.arrivals.filter((name) => name === 'Metadata').length).toBeGreaterThan(3);
});

it('begins at the earliest record when its offset is gone, and goes back to the end of a log that was cut', async () => {
  let isCut = false;
  const [consumer] = await open((offset) => {
    if (offset < 4) return { errorCode: errorCodes.OFFSET_OUT_OF_RANGE };
    if (isCut && offset === 8) {
      isCut = false;
      return { divergingEpoch: { epoch: 0, endOffset: 6 }, records: new Uint8Array(0) };
    }
    return offset >= 8 ? {} : { records: batchAt(offset, 2) };
  });
  consumer.assign([{ topic: 't', partition: 0, offset: 1 }]);
  expect(await read(consumer)).toBe('4,5');
  expect(await read(consumer)).toBe('6,7');
  isCut = true;
  expect(await read(consumer)).toBe('6,7');
});

it('tells an error that does not pass, and reads on if it was mended', async () => {
  let isAllowed = false;
  const [consumer] = await open((offset) =>
    isAllowed ? { records: batchAt(offset, 1) } : { errorCode: errorCodes.TOPIC_AUTHORIZATION_FAILED },
  );
  consumer.assign([{ topic: 't', partition: 0, offset: 0 }]);
  expect(await read(consumer)).toBe('TOPIC_AUTHORIZATION_FAILED');
  isAllowed = true;
  let next = await read(consumer);
  if (next === 'TOPIC_AUTHORIZATION_FAILED') next = await read(consumer); // one more was on its way
  expect(next).toBe('0');
});

it('drops what was fetched, and what is on its way, when it seeks', async () => {
  const [consumer] = await open((offset) => (offset >= 9 ? {} : { records: batchAt(offset, 1) }));
  const place = { topic: 't', partition: 0 };
  consumer.assign([{ ...place, offset: 0 }]);
  expect(await read(consumer)).toBe('0');
  consumer.seek({ ...place, offset: 7 });
  expect(consumer.position(place)).toBe(7);
  expect(await read(consumer)).toBe('7');
  consumer.seek({ ...place, offset: 3 });
  expect(await read(consumer)).toBe('3');
});

it('fetches no more than maxBufferedBytes ahead of poll', async () => {
  let fetchCount = 0;
  const size = batchAt(0, 1).length;
  const [consumer] = await open(
    (offset) => {
      fetchCount++;
      return { records: batchAt(offset, 1) };
    },
    { maxBufferedBytes: 3 * size, maxPartitionFetchBytes: 1_000_000 },
  );
  consumer.assign([{ topic: 't', partition: 0, offset: 0 }]);
  await clock.advance(1_000);
  expect(fetchCount).toBe(3);
  expect(await read(consumer)).toBe('0');
  await clock.advance(1_000);
  expect(fetchCount).toBe(4);
});

it('gives null when maxWaitMs has gone by, and not before', async () => {
  const [consumer] = await open(() => ({}));
  consumer.assign([{ topic: 't', partition: 0, offset: 0 }]);
  const startMs = clock.monotonic();
  expect(await settled(consumer.poll(700))).toBeNull();
  expect(clock.monotonic() - startMs).toBeGreaterThanOrEqual(700);
  expect(clock.monotonic() - startMs).toBeLessThanOrEqual(720);
});
