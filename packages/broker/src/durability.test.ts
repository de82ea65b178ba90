import { FileSystemError, nodePlatform, systemClock, type File, type FileSystem } from '@millrace/platform';
import { SeededRandom, SimulatedFileSystem, VirtualClock } from '@millrace/platform/simulated';
import { apis, encodeMessage, readBatchHeader, recordSchemas, RecordBatchWriter } from '@millrace/protocol';
import { describe, expect, it } from 'vitest';
import { Broker } from './broker.ts';
import type { BrokerOptions } from './broker-options.ts';
import { batchOf, endOffsetOf, valuesOf } from './testing/batches.ts';
import { TestBroker } from './testing/memory-broker.ts';
import { onVirtualTime } from './testing/virtual-time.ts';

const nowMs = systemClock().now();

function openOn(files: FileSystem, options: Partial<BrokerOptions> = {}): Promise<Broker> {
  return Broker.open({ data: '/data', platform: { ...nodePlatform(), files }, ...options });
}

/** What the broker has acknowledged, and must still know after any crash. */
interface Acknowledged {
  readonly topicIds: Map<string, string>;
  readonly deleted: Set<string>;
  goneHasRecord: boolean;
  readonly values: string[];
  partitionCount: number;
  retentionMs: string | undefined;
  readonly producerIds: number[];
}

/** Does a bit of everything, and notes what was acknowledged. A broken disk ends it with an error. */
async function work(files: FileSystem, acknowledged: Acknowledged): Promise<void> {
  const broker = await openOn(files);
  const test = TestBroker.over(broker);
  const write = async (value: string): Promise<void> => {
    const answer = await test.produce('orders', batchOf([{ value, timestampMs: nowMs }]));
    if (answer.errorCode !== 0) throw new Error(`error ${answer.errorCode}`);
    acknowledged.values.push(value);
  };
  try {
    acknowledged.topicIds.set('orders', await test.createTopic('orders', { partitions: 2 }));
    acknowledged.partitionCount = 2;
    await write('a');
    await test.createTopic('gone');
    const written = await test.produce('gone', batchOf([{ value: 'whole', timestampMs: nowMs }]));
    acknowledged.goneHasRecord = written.errorCode === 0;
    const deleted = await test.client.request(apis.deleteTopics, 5, { topicNames: ['gone'], timeoutMs: 1000 });
    if (deleted.responses[0]?.errorCode === 0) acknowledged.deleted.add('gone');
    await write('b');
    const configs = [{ name: 'retention.ms', configOperation: 0, value: '123456789' }];
    const altered = await test.client.request(apis.incrementalAlterConfigs, 1, {
      resources: [{ resourceType: 2, resourceName: 'orders', configs }],
    });
    if (altered.responses[0]?.errorCode === 0) acknowledged.retentionMs = '123456789';
    const grown = await test.client.request(apis.createPartitions, 3, {
      topics: [{ name: 'orders', count: 3, assignments: null }],
    });
    if (grown.results[0]?.errorCode === 0) acknowledged.partitionCount = 3;
    const given = await test.client.request(apis.initProducerId, 4, { transactionTimeoutMs: 1000 });
    if (given.errorCode === 0) acknowledged.producerIds.push(given.producerId);
    await write('c');
  } finally {
    await broker.close({ timeoutMs: 1000 });
  }
}

/** Opens the broker again, and tells what it has forgotten. */
async function forgotten(files: FileSystem, acknowledged: Acknowledged): Promise<readonly string[]> {
  const losses: string[] = [];
  const must = (holds: boolean | undefined, what: string): void => {
    if (holds !== true) losses.push(what);
  };
  await using broker = await openOn(files);
  const test = TestBroker.over(broker);
  const { topics } = await test.client.request(apis.metadata, 12, { topics: null });
  for (const [name, topicId] of acknowledged.topicIds) {
    const topic = topics.find((each) => each.name === name);
    must(topic?.topicId === topicId, `topic ${name}`);
    must((topic?.partitions.length ?? 0) >= acknowledged.partitionCount, `partitions of ${name}`);
  }
  for (const name of acknowledged.deleted) must(!topics.some((topic) => topic.name === name), `the end of ${name}`);
  // A deletion that was not acknowledged has happened or has not: there is no half of a topic.
  if (acknowledged.goneHasRecord && topics.some((topic) => topic.name === 'gone')) {
    must((await allValues(test, 'gone')).join() === 'whole', 'the records of a topic whose deletion was interrupted');
  }
  if (acknowledged.topicIds.has('orders')) {
    const values = await allValues(test, 'orders');
    // What was on its way may be there or not; what was acknowledged is, in order, and nothing else.
    must(values.join() === ['a', 'b', 'c'].slice(0, values.length).join(), `order: ${values.join()}`);
    must(values.length >= acknowledged.values.length, `values: ${values.join()} of ${acknowledged.values.join()}`);
    const { results } = await test.client.request(apis.describeConfigs, 4, {
      resources: [{ resourceType: 2, resourceName: 'orders', configurationKeys: ['retention.ms'] }],
    });
    const { retentionMs } = acknowledged;
    must(retentionMs === undefined || results[0]?.configs[0]?.value === retentionMs, 'configs');
  }
  const { producerId } = await test.client.request(apis.initProducerId, 4, { transactionTimeoutMs: 1000 });
  for (const before of acknowledged.producerIds) must(producerId > before, `producer id ${before}`);
  // Whatever a crash interrupted is out of the way of what comes.
  for (const name of ['gone', 'new']) {
    if (topics.some((topic) => topic.name === name)) continue;
    await test.createTopic(name, { partitions: 2 });
    const produced = await test.produce(name, batchOf([{ value: 'x', timestampMs: nowMs }]));
    must(produced.errorCode === 0 && produced.baseOffset === 0, `a clean start for ${name}`);
  }
  must(!files.list('/data').some((entry) => /-delete$|-stray$/.test(entry)), 'to clear the directory');
  return losses;
}

async function allValues(test: TestBroker, topic: string): Promise<(string | null)[]> {
  const values: (string | null)[] = [];
  for (let offset = 0; ;) {
    const { errorCode, records } = await test.fetch(topic, offset);
    if (errorCode !== 0) return [`error ${errorCode}`];
    const endOffset = endOffsetOf(records);
    if (endOffset === undefined) return values;
    values.push(...valuesOf(records).map(([, value]) => value));
    offset = endOffset;
  }
}

const nothing = (): Acknowledged => ({
  topicIds: new Map(),
  deleted: new Set(),
  goneHasRecord: false,
  values: [],
  partitionCount: 0,
  retentionMs: undefined,
  producerIds: [],
});

it('keeps all that it acknowledged, wherever power fails, whatever part of the rest the disk keeps', async () => {
  const whole = new SimulatedFileSystem();
  await work(whole, nothing());
  const operations = whole.operationCount;
  expect(operations).toBeGreaterThan(50);
  for (let operation = 1; operation <= operations; operation++) {
    for (const seed of [undefined, operation]) {
      const files = new SimulatedFileSystem();
      const acknowledged = nothing();
      files.losePowerAt(operation);
      await work(files, acknowledged).catch(() => {});
      files.losePower(seed === undefined ? {} : { random: new SeededRandom(seed) });
      const losses = await forgotten(files, acknowledged);
      expect(losses, `power failed at operation ${operation} of ${operations}, seed ${seed}`).toEqual([]);
    }
  }
}, 120_000);

it('keeps all that it acknowledged when its process is killed', async () => {
  const whole = new SimulatedFileSystem();
  await work(whole, nothing());
  for (let operation = 1; operation <= whole.operationCount; operation += 3) {
    const files = new SimulatedFileSystem();
    const acknowledged = nothing();
    files.losePowerAt(operation);
    await work(files, acknowledged).catch(() => {});
    files.killProcess();
    expect(await forgotten(files, acknowledged), `killed at operation ${operation}`).toEqual([]);
  }
}, 60_000);

it('reports a full disk, acknowledges nothing more, and goes on from there once there is room', async () => {
  const files = new SimulatedFileSystem();
  const failures: Error[] = [];
  const broker = await openOn(files, { onFailure: (error) => failures.push(error) });
  const test = TestBroker.over(broker);
  await test.createTopic('orders');
  expect(await test.produce('orders', batchOf([{ value: 'kept', timestampMs: nowMs }]))).toMatchObject({
    errorCode: 0,
  });
  files.limitCapacity(0);
  await expect(test.produce('orders', batchOf([{ value: 'lost', timestampMs: nowMs }]))).rejects.toThrow(
    'the connection closed',
  );
  expect(failures).toMatchObject([{ code: 'KAFKA_STORAGE_ERROR' }]);
  await expect(broker.close()).rejects.toMatchObject({ code: 'KAFKA_STORAGE_ERROR' });

  files.limitCapacity(Infinity);
  await using reopened = await openOn(files);
  const again = TestBroker.over(reopened);
  expect(valuesOf((await again.fetch('orders', 0)).records)).toEqual([[0, 'kept']]);
  expect(await again.produce('orders', batchOf([{ value: 'next', timestampMs: nowMs }]))).toMatchObject({
    baseOffset: 1,
  });
});

it('closes when fdatasync fails: it is not tried again, and nothing is acknowledged', async () => {
  const files = new SimulatedFileSystem();
  const failures: Error[] = [];
  const broker = await openOn(files, { onFailure: (error) => failures.push(error) });
  const test = TestBroker.over(broker);
  await test.createTopic('orders');
  files.failSyncs(/orders-0/);
  await expect(test.produce('orders', batchOf([{ value: 'lost', timestampMs: nowMs }]))).rejects.toThrow(
    'the connection closed',
  );
  expect(failures).toHaveLength(1);
  expect(() => broker.dial()).toThrow(expect.objectContaining({ code: 'BROKER_CLOSED', cause: failures[0] }));
  await expect(broker.close()).rejects.toMatchObject({ code: 'KAFKA_STORAGE_ERROR' });
});

it('skips recovery after a clean close only: the mark is gone while the broker runs', async () => {
  const files = new SimulatedFileSystem();
  const mark = '/data/.kafka_cleanshutdown';
  const broker = await openOn(files);
  expect(files.stat(mark)).toBeUndefined();
  await broker.close();
  expect(files.stat(mark)).toBeDefined();
  const again = await openOn(files);
  expect(files.stat(mark)).toBeUndefined();
  files.losePower();
  expect(files.stat(mark)).toBeUndefined();
  await expect(again.close()).rejects.toMatchObject({ code: 'FILE_SYSTEM_ERROR' }); // its disk is gone
});

describe('a mark of a clean close', () => {
  const mark = '/data/.kafka_cleanshutdown';

  /** A directory that was closed cleanly in its first epoch and lost power in its second. Gives the mark of the first. */
  async function lostPowerInSecondEpoch(files: SimulatedFileSystem): Promise<Buffer> {
    const first = await openOn(files);
    const test = TestBroker.over(first);
    await test.createTopic('orders');
    await test.produce('orders', batchOf([{ value: 'a', timestampMs: nowMs }]));
    await first.close();
    const bytes = contentOf(files, mark);
    const second = await openOn(files);
    const again = TestBroker.over(second);
    for (const value of ['b', 'c']) await again.produce('orders', batchOf([{ value, timestampMs: nowMs }]));
    await again.createTopic('more');
    files.losePower();
    await expect(second.close()).rejects.toMatchObject({ code: 'FILE_SYSTEM_ERROR' });
    return bytes;
  }

  it('vouches for its own epoch alone: what a later one left is looked through, and cut where it is broken', async () => {
    const files = new SimulatedFileSystem();
    write(files, mark, 0, await lostPowerInSecondEpoch(files));
    const log = '/data/orders-0/00000000000000000000.log';
    const { sizeBytes } = files.stat(log)!;
    write(files, log, sizeBytes - 3, Buffer.from('???')); // within the value of the last record
    await using broker = await openOn(files);
    const test = TestBroker.over(broker);
    expect(await allValues(test, 'orders')).toEqual(['a', 'b']);
    expect(await test.fetch('orders', 0)).toMatchObject({ highWatermark: 2 });
  });

  it('of another epoch does not vouch for the metadata either', async () => {
    const files = new SimulatedFileSystem();
    write(files, mark, 0, await lostPowerInSecondEpoch(files));
    const log = '/data/__cluster_metadata-0/00000000000000000000.log';
    const { sizeBytes } = files.stat(log)!;
    write(files, log, sizeBytes - 3, Buffer.from('???')); // within the record of the last topic
    await using broker = await openOn(files);
    const { topics } = await TestBroker.over(broker).client.request(apis.metadata, 12, { topics: null });
    expect(topics.map(({ name }) => name)).toEqual(['orders']);
  });

  it('that cannot be read vouches for nothing', async () => {
    const files = new SimulatedFileSystem();
    await lostPowerInSecondEpoch(files);
    write(files, mark, 0, Buffer.from('{"version":0,"brokerEpoch":'));
    const log = '/data/orders-0/00000000000000000000.log';
    write(files, log, files.stat(log)!.sizeBytes - 3, Buffer.from('???'));
    await using broker = await openOn(files);
    expect(await allValues(TestBroker.over(broker), 'orders')).toEqual(['a', 'b']);
  });
});

function contentOf(files: FileSystem, path: string): Buffer {
  const file = files.open(path, 'read');
  const bytes = Buffer.alloc(files.stat(path)!.sizeBytes);
  file.readSync(bytes, 0);
  file.close();
  return bytes;
}

function write(files: FileSystem, path: string, position: number, bytes: Uint8Array): void {
  const file = files.open(path, 'write');
  file.writev([bytes], position);
  file.close();
}

it('sets aside a directory with records that no topic owns, and removes an empty one', async () => {
  const files = new SimulatedFileSystem();
  await (await openOn(files)).close();
  for (const [name, bytes] of [
    ['lost-0', 100],
    ['empty-0', 0],
  ] as const) {
    files.makeDirectory(`/data/${name}`);
    const file = files.open(`/data/${name}/00000000000000000000.log`, 'write');
    file.writev([new Uint8Array(bytes)], 0);
    file.close();
  }
  await using broker = await openOn(files);
  const names = files.list('/data').filter((name) => /^(lost|empty)/.test(name));
  expect(names).toEqual(['lost-0-stray']);
  const test = TestBroker.over(broker);
  await test.createTopic('lost');
  expect(await test.fetch('lost', 0)).toMatchObject({ errorCode: 0, highWatermark: 0 });
});

it('refuses a directory that another broker has open, until that one is closed', async () => {
  const files = new SimulatedFileSystem();
  const first = await openOn(files);
  await expect(openOn(files)).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED', context: { directory: '/data' } });
  await first.close();
  await (await openOn(files)).close();
});

it('refuses a directory that cannot be written, and leaves it unlocked', async () => {
  const files = new SimulatedFileSystem();
  files.setReadOnly(true);
  await expect(openOn(files)).rejects.toMatchObject({ code: 'FILE_SYSTEM_ERROR', errno: 'EROFS' });
  files.setReadOnly(false);
  await (await openOn(files)).close();
});

it('sets a second stray directory of one name aside beside the first', async () => {
  const files = new SimulatedFileSystem();
  for (const at of ['lost-0', 'lost-0-stray']) {
    files.makeDirectory(`/data/${at}`);
    const file = files.open(`/data/${at}/00000000000000000000.log`, 'write');
    file.writev([Buffer.from(at)], 0);
    file.close();
  }
  const aside = (): readonly string[] => files.list('/data').filter((name) => name.startsWith('lost'));
  const broker = await openOn(files);
  expect(broker.metrics().partitionCount).toBe(0);
  expect(aside()).toEqual(['lost-0-stray', 'lost-0.2-stray']);
  await broker.close();

  // Under names that no partition has, so that they stay there.
  await using again = await openOn(files);
  expect(aside()).toEqual(['lost-0-stray', 'lost-0.2-stray']);
  const test = TestBroker.over(again);
  await test.createTopic('lost-0-stray', { partitions: 3 });
  expect(await test.fetch('lost-0-stray', 0, { partition: 2 })).toMatchObject({ errorCode: 0, highWatermark: 0 });
});

it('sets stray directories of the longest names aside, under as much of the name as fits', async () => {
  const files = new SimulatedFileSystem();
  const names = [
    `${'a'.repeat(247)}-0`, // 255 bytes with what is added
    `${'a'.repeat(248)}-0`, // all but the partition is the same once it is cut
    `${'b'.repeat(249)}-10000`, // the longest that a partition can have
    `${'é'.repeat(126)}-7`, // bytes count, not characters
    `c-${'1'.repeat(253)}`,
  ];
  for (const name of names) {
    files.makeDirectory(`/data/${name}`);
    write(files, `/data/${name}/00000000000000000000.log`, 0, Buffer.from('records'));
  }
  await using broker = await openOn(files);
  expect(broker.metrics().partitionCount).toBe(0);
  const aside = files.list('/data').filter((name) => /^[abcé]/.test(name));
  expect(aside.toSorted()).toEqual([
    `${'a'.repeat(245)}-0.2-stray`,
    `${'a'.repeat(247)}-0-stray`,
    `${'b'.repeat(243)}-10000-stray`,
    `c-${'1'.repeat(247)}-stray`,
    `${'é'.repeat(123)}-7-stray`,
  ]);
  for (const name of aside)
    expect(contentOf(files, `/data/${name}/00000000000000000000.log`).toString()).toBe('records');
});

it('removes what a deletion left, and nothing else whose name ends so', async () => {
  const files = new SimulatedFileSystem();
  files.makeDirectory('/data/orders-0.01234567-89ab-4def-8123-456789abcdef-delete');
  files.makeDirectory('/data/please-do-not-delete');
  await using broker = await openOn(files);
  expect(broker.metrics().partitionCount).toBe(0);
  expect(files.list('/data').filter((name) => name.endsWith('-delete'))).toEqual(['please-do-not-delete']);
});

it('tells of a full disk when a topic is made, and can make it once there is room', async () => {
  const whole = new SimulatedFileSystem();
  const counted = await openOn(whole);
  const before = whole.operationCount;
  await TestBroker.over(counted).createTopic('orders', { partitions: 2 });
  const operations = whole.operationCount - before;
  await counted.close();
  for (let operation = 0; operation < operations; operation++) {
    const files = new SimulatedFileSystem();
    const refusing = new RefusingFiles(files);
    await using broker = await openOn(refusing.files);
    const test = TestBroker.over(broker);
    refusing.allowed = operation;
    const wanted = { name: 'orders', numPartitions: 2, replicationFactor: 1 };
    const { topics } = await test.client.request(apis.createTopics, 7, { topics: [wanted] });
    refusing.allowed = Infinity;
    if (topics[0]?.errorCode === 0) break;
    expect(topics[0]?.errorCode, `refused after ${operation}`).toBe(56);
    expect(topics[0]?.errorMessage).toMatch(/orders/);
    await test.createTopic('orders', { partitions: 2 });
    expect(await test.produce('orders', batchOf([{ value: 'x', timestampMs: nowMs }]))).toMatchObject({
      baseOffset: 0,
    });
  }
});

it('keeps what was deleted from the start of a log deleted, and the configs of a topic in effect', async () => {
  const files = new SimulatedFileSystem();
  const test = TestBroker.over(await openOn(files));
  await test.createTopic('orders');
  for (const value of ['a', 'b', 'c']) await test.produce('orders', batchOf([{ value, timestampMs: nowMs }]));
  const deleted = await test.client.request(apis.deleteRecords, 2, {
    topics: [{ name: 'orders', partitions: [{ partitionIndex: 0, offset: 2 }] }],
  });
  expect(deleted.topics[0]?.partitions[0]).toMatchObject({ errorCode: 0, lowWatermark: 2 });
  const configs = [{ name: 'max.message.bytes', configOperation: 0, value: '10' }];
  await test.client.request(apis.incrementalAlterConfigs, 1, {
    resources: [{ resourceType: 2, resourceName: 'orders', configs }],
  });
  files.losePower();
  await expect(test.broker.close()).rejects.toMatchObject({ code: 'FILE_SYSTEM_ERROR' });
  for (let start = 0; start < 2; start++) {
    await using broker = await openOn(files);
    const again = TestBroker.over(broker);
    expect(await again.fetch('orders', 1)).toMatchObject({ errorCode: 1 }); // OFFSET_OUT_OF_RANGE
    const fetched = await again.fetch('orders', 2);
    expect(fetched).toMatchObject({ errorCode: 0, logStartOffset: 2, highWatermark: 3 });
    expect(valuesOf(fetched.records)).toEqual([[2, 'c']]);
    expect(await again.produce('orders', batchOf([{ value: 'd', timestampMs: nowMs }]))).toMatchObject({
      errorCode: 10, // MESSAGE_TOO_LARGE
    });
  }
});

it('leaves no file open, though the disk has failed or a log cannot be opened', async () => {
  const files = new SimulatedFileSystem();
  const counting = new RefusingFiles(files);
  const broker = await openOn(counting.files);
  const test = TestBroker.over(broker);
  await test.createTopic('orders', { partitions: 4 });
  await test.produce('orders', batchOf([{ value: 'kept', timestampMs: nowMs }]));
  files.failSyncs(/orders-0/);
  await expect(test.produce('orders', batchOf([{ value: 'lost', timestampMs: nowMs }]))).rejects.toThrow('closed');
  await expect(broker.close()).rejects.toMatchObject({ code: 'KAFKA_STORAGE_ERROR' });
  expect(counting.openPaths()).toEqual([]);

  files.failSyncs(undefined);
  const damaged = files.open('/data/orders-3/partition.metadata', 'write');
  damaged.truncate(0);
  damaged.writev([Buffer.from('version: 0\ntopic_id: AAAAAAAAQACAAAAAAAAAAA')], 0);
  damaged.close();
  await expect(openOn(counting.files)).rejects.toMatchObject({ message: expect.stringContaining('orders-3') });
  expect(counting.openPaths()).toEqual([]);
});

it('leaves no file open and no timer where its own records cannot be read', async () => {
  const files = new SimulatedFileSystem();
  const counting = new RefusingFiles(files);
  const clock = new VirtualClock(nowMs);
  const run = onVirtualTime(clock);
  const open = (): Promise<Broker> =>
    run(
      Broker.open({
        data: '/data',
        platform: { ...nodePlatform(), files: counting.files, clock },
        config: { 'transaction.state.log.num.partitions': 1 },
      }),
    );
  const broker = await open();
  const { client } = TestBroker.over(broker);
  await run(client.request(apis.initProducerId, 4, { transactionalId: 'tx', transactionTimeoutMs: 60_000 }));
  await run(broker.close());
  expect(clock.pendingCount).toBe(0);

  const whole = contentOf(files, '/data/__transaction_state-0/00000000000000000000.log');
  const later = encodeMessage(recordSchemas.transactionLogValue, 0, { transactionStatus: 9 });
  const key = encodeMessage(recordSchemas.transactionLogKey, 0, { transactionalId: 'tx' });
  appendBatch(files, '/data/__transaction_state-0/00000000000000000000.log', [key, later]);
  files.remove('/data/.kafka_cleanshutdown');
  await expect(open()).rejects.toMatchObject({ code: 'UNKNOWN_TRANSACTION_STATE' });
  expect(counting.openPaths()).toEqual([]);
  expect(clock.pendingCount).toBe(0);

  const log = '/data/__transaction_state-0/00000000000000000000.log';
  const shortened = files.open(log, 'write');
  shortened.truncate(whole.length);
  shortened.close();
  const metadata = '/data/__cluster_metadata-0/00000000000000000000.log';
  appendBatch(files, metadata, [Buffer.of(0x0a), Buffer.of(0x0a)]);
  await expect(open()).rejects.toMatchObject({ code: 'CORRUPT_LOG', context: { path: '__cluster_metadata-0' } });
  expect(counting.openPaths()).toEqual([]);
  expect(clock.pendingCount).toBe(0);
});

/** Writes a record behind what a log has. */
function appendBatch(files: FileSystem, path: string, [key, value]: readonly [Uint8Array, Uint8Array]): void {
  const before = contentOf(files, path);
  const writer = new RecordBatchWriter();
  writer.append(nowMs, key, value);
  const batch = Buffer.from(writer.close({}));
  batch.writeBigInt64BE(BigInt(endOffsetOf(before) ?? 0), 0);
  let last = 0;
  for (let next = 0; next < before.length; next += readBatchHeader(before, next).sizeBytes) last = next;
  before.copy(batch, 12, last + 12, last + 16); // the leader epoch
  write(files, path, before.length, batch);
}

/** Counts the files that are open, and refuses to open or rename after so many times, as a machine that lacks descriptors or space. */
class RefusingFiles {
  allowed = Infinity;
  readonly files: FileSystem;
  readonly #open: string[] = [];

  constructor(files: FileSystem) {
    this.files = Object.assign(Object.create(files) as FileSystem, bound(files), {
      rename: (from: string, to: string) => {
        this.#allow('rename', to);
        files.rename(from, to);
      },
      open: (path: string, mode: 'read' | 'write') => {
        this.#allow('open', path);
        const file = files.open(path, mode);
        this.#open.push(path);
        const close = (): void => {
          const at = this.#open.indexOf(path);
          if (at >= 0) this.#open.splice(at, 1);
          file.close();
        };
        return Object.assign(Object.create(file) as File, bound(file), { path, close });
      },
    });
  }

  #allow(operation: string, path: string): void {
    if (this.allowed-- > 0) return;
    throw new FileSystemError(operation, path, Object.assign(new Error('refused'), { code: 'EMFILE' }));
  }

  openPaths(): readonly string[] {
    return this.#open;
  }
}

/** An object's methods, to be called without it. */
function bound<T extends object>(target: T): Partial<T> {
  const methods: Record<string, unknown> = {};
  for (const name of Object.getOwnPropertyNames(Object.getPrototypeOf(target))) {
    const value = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(target), name)?.value;
    if (typeof value === 'function' && name !== 'constructor') methods[name] = value.bind(target);
  }
  return methods as Partial<T>;
}
