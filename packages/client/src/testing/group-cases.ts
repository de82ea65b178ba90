import assert from 'node:assert/strict';
import { string, topic } from '@millrace/serde';
import type { Client } from '../client.ts';
import { all, take, type ClientCase, type ClientCaseContext } from './client-case.ts';

async function filled(
  context: ClientCaseContext,
  client: Client,
  partitionCount: number,
  recordCount: number,
): Promise<ReturnType<typeof topic<string, string, Uint8Array | null>>> {
  const work = topic(context.name('work'), { value: string, numPartitions: partitionCount });
  await client.admin.createTopics([work]);
  await client.producer().send(
    work,
    Array.from({ length: recordCount }, (_, i) => ({ value: String(i), partition: i % partitionCount })),
  );
  return work;
}

/** Starts a member that notes what it gets, until it is told to stop. */
class Member {
  readonly seen: string[] = [];
  readonly events: string[] = [];
  readonly done: Promise<void>;
  readonly #abort = new AbortController();
  #changed: (() => void) | undefined;
  assignedCount = 0;

  constructor(
    client: Client,
    options: Omit<Parameters<Client['consumer']>[0], 'signal'>,
    onRecord: (place: string) => void = () => undefined,
  ) {
    const consumer = client.consumer({
      ...options,
      heartbeatIntervalMs: 100,
      signal: this.#abort.signal,
      onPartitionsAssigned: (partitions) => {
        this.assignedCount += partitions.length;
        if (partitions.length > 0) this.events.push(`+${partitions.map(({ partition }) => partition).join()}`);
        this.#changed?.();
      },
      onPartitionsRevoked: (partitions) => {
        this.assignedCount -= partitions.length;
        this.events.push(`-${partitions.map(({ partition }) => partition).join()}`);
        this.#changed?.();
      },
      onPartitionsLost: () => void this.events.push('lost'),
    });
    this.done = (async () => {
      for await (const record of consumer) {
        const place = `${record.partition}@${record.offset}`;
        this.seen.push(place);
        onRecord(place);
        this.#changed?.();
      }
    })();
  }

  /** Resolves at the next record or change of the assignment. @throws why the member's loop failed */
  async changed(): Promise<void> {
    await Promise.race([new Promise<void>((resolve) => (this.#changed = resolve)), this.done]);
  }

  async until(isTrue: (member: this) => boolean): Promise<void> {
    while (!isTrue(this)) await this.changed();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.done;
  }
}

export const groupCases: readonly ClientCase[] = [
  {
    name: 'leaving the loop commits what is done, not what is in hand, and the next member goes on from there',
    async run(context) {
      const client = await context.connect();
      const work = await filled(context, client, 1, 10);
      const groupId = context.name('readers');
      const first = await take(client.consumer({ groupId, topics: [work] }), 4);
      assert.deepEqual(
        first.map(({ value }) => value),
        ['0', '1', '2', '3'],
      );
      const [committed] = await client.admin.listConsumerGroupOffsets(groupId);
      assert.deepEqual(committed, { topic: work.name, partition: 0, offset: 3, metadata: '', lagRecords: 7 });
      const second = await take(client.consumer({ groupId, topics: [work] }), 7);
      assert.deepEqual(
        second.map(({ value }) => value),
        ['3', '4', '5', '6', '7', '8', '9'],
      );
    },
  },
  {
    name: 'without auto commit only commit() commits: up to a record, a batch, or all that was handed out',
    async run(context) {
      const client = await context.connect();
      const work = await filled(context, client, 1, 10);
      const groupId = context.name('manual');
      const committed = async (): Promise<number | undefined> =>
        (await client.admin.listConsumerGroupOffsets(groupId))[0]?.offset;
      const consumer = client.consumer({ groupId, topics: [work], enableAutoCommit: false, maxBufferedRecords: 4 });
      let batchCount = 0;
      for await (const batch of consumer.batches()) {
        batchCount++;
        if (batchCount === 1) {
          assert.deepEqual([batch.firstOffset, batch.lastOffset, batch.highWatermark], [0, 3, 10]);
          assert.equal(await committed(), undefined);
          await consumer.commit(batch.records[1]);
          assert.equal(await committed(), 2);
          await consumer.commit(batch);
          assert.equal(await committed(), 4);
        } else if (batchCount === 2) {
          await consumer.commit();
          assert.equal(await committed(), 8);
        } else {
          assert.equal(batch.lastOffset, 9);
          break;
        }
      }
      assert.equal(await committed(), 8);
    },
  },
  {
    name: 'three members share the partitions, and when one leaves the others take its over; nothing is lost',
    async run(context) {
      const client = await context.connect();
      const work = await filled(context, client, 6, 600);
      const groupId = context.name('team');
      const seen = new Set<string>();
      const note = (place: string): void => void seen.add(place);
      const options = { groupId, topics: [work] };
      const a = new Member(client, options, note);
      await a.until(({ assignedCount }) => assignedCount === 6);
      const b = new Member(client, options, note);
      const c = new Member(client, options, note);
      await Promise.all([a, b, c].map((member) => member.until(({ assignedCount }) => assignedCount === 2)));
      // Cooperative: the first member never gave up what it could keep (KIP-429).
      assert.equal(a.events[0], '+0,1,2,3,4,5');
      assert.equal(
        a.events.filter((event) => event.startsWith('-')).reduce((n, event) => n + event.slice(1).split(',').length, 0),
        4,
      );
      const [description] = await client.admin.describeConsumerGroups([groupId]);
      assert.equal(description?.state, 'Stable');
      assert.deepEqual(
        description.members
          .flatMap(({ assignment }) => assignment.map(({ partition }) => partition))
          .toSorted((x, y) => x - y),
        [0, 1, 2, 3, 4, 5],
      );

      await b.stop();
      await Promise.all([a, c].map((member) => member.until(({ assignedCount }) => assignedCount === 3)));
      await client.producer().send(
        work,
        Array.from({ length: 60 }, (_, i) => ({ value: `late ${i}`, partition: i % 6 })),
      );
      while (seen.size < 660) await Promise.race([a.changed(), c.changed()]);
      await Promise.all([a.stop(), c.stop()]);
      const offsets = await client.admin.listConsumerGroupOffsets(groupId);
      assert.equal(offsets.length, 6);
    },
  },
  {
    name: 'the range assignor gives each member a run of partitions, and revokes all before a rebalance',
    async run(context) {
      const client = await context.connect();
      const work = await filled(context, client, 4, 40);
      const options = {
        groupId: context.name('ranged'),
        topics: [work],
        partitionAssignmentStrategy: ['range'] as const,
      };
      const a = new Member(client, options);
      await a.until(({ assignedCount }) => assignedCount === 4);
      const b = new Member(client, options);
      await Promise.all([a, b].map((member) => member.until(({ assignedCount }) => assignedCount === 2)));
      assert.deepEqual(a.events.slice(0, 2), ['+0,1,2,3', '-0,1,2,3']);
      assert.deepEqual(new Set([a.events.at(-1), b.events.at(-1)]), new Set(['+0,1', '+2,3']));
      await Promise.all([a.stop(), b.stop()]);
    },
  },
  {
    name: 'a static member that restarts within its session gets its partitions back, and nobody else notices',
    async run(context) {
      const client = await context.connect();
      const work = await filled(context, client, 2, 20);
      const options = { groupId: context.name('static'), topics: [work] };
      const a = new Member(client, { ...options, groupInstanceId: 'a' });
      await a.until(({ assignedCount }) => assignedCount === 2);
      let b = new Member(client, { ...options, groupInstanceId: 'b' });
      await Promise.all([a, b].map((member) => member.until(({ assignedCount }) => assignedCount === 1)));
      const before = [...a.events];
      const mine = b.events.at(-1);
      await b.stop();
      b = new Member(client, { ...options, groupInstanceId: 'b' });
      await b.until(({ assignedCount }) => assignedCount === 1);
      assert.equal(b.events.at(-1), mine);
      assert.deepEqual(a.events, before);
      await Promise.all([a.stop(), b.stop()]);
    },
  },
  {
    name: 'new partitions and new topics of a pattern reach the group by themselves',
    async run(context) {
      const client = await context.connect({ metadataMaxAgeMs: 300 });
      const work = await filled(context, client, 1, 1);
      const pattern = {
        pattern: new RegExp(`^${context.name('work').replaceAll('-', '\\-')}`),
        key: work.key,
        value: work.value,
      };
      const member = new Member(client, { groupId: context.name('pattern'), topics: [pattern] });
      await member.until(({ seen }) => seen.length === 1);
      await client.admin.createPartitions(work.name, 3);
      await member.until(({ assignedCount }) => assignedCount === 3);
      await client.admin.createTopics([{ name: `${work.name}-more`, numPartitions: 2 }]);
      await member.until(({ assignedCount }) => assignedCount === 5);
      await member.stop();
    },
  },
  {
    name: 'a commit by a member that the group has lost fails with COMMIT_FAILED',
    async run(context) {
      const client = await context.connect();
      const work = await filled(context, client, 1, 5);
      const groupId = context.name('outrun');
      const options = { groupId, topics: [work], groupInstanceId: 'only', enableAutoCommit: false };
      const consumer = client.consumer(options);
      let rejected: unknown;
      for await (const record of consumer) {
        // Its double takes over the static membership.
        const [theirs] = await take(client.consumer(options), 1);
        assert.equal(theirs?.offset, record.offset);
        rejected = await consumer.commit(record).then(
          () => 'committed',
          (error: Error & { code: string }) => error.code,
        );
        break;
      }
      assert.equal(rejected, 'COMMIT_FAILED');
    },
  },
  {
    name: 'a callback may close its consumer, and wait for that; what a callback throws ends the loop',
    async run(context) {
      const client = await context.connect();
      const work = await filled(context, client, 1, 3);
      const options = { groupId: context.name('callback'), topics: [work] };
      const closing = client.consumer({
        ...options,
        onPartitionsAssigned: async (): Promise<void> => closing.close(),
      });
      assert.deepEqual(await all(closing), []);
      const throwing = client.consumer({
        ...options,
        onPartitionsAssigned: () => {
          throw new Error('not these');
        },
      });
      await assert.rejects(all(throwing), /not these/);
      assert.equal((await take(client.consumer(options), 3)).length, 3);
    },
  },
  {
    name: 'closing returns at once, whatever goes on: polling, joining, or waiting for another member',
    async run(context) {
      const client = await context.connect();
      const work = await filled(context, client, 2, 0);
      const options = { groupId: context.name('prompt'), topics: [work] };
      const idle = client.consumer(options);
      const waiting = idle[Symbol.asyncIterator]().next();
      const joining = client.consumer(options);
      const neverJoined = client.consumer(options);
      const next = joining[Symbol.asyncIterator]().next();
      await Promise.all([joining.close(), neverJoined.close(), idle.close()]);
      assert.deepEqual([(await waiting).done, (await next).done], [true, true]);
      // The group has no members left: an outsider may set its offsets.
      await client.admin.alterConsumerGroupOffsets(options.groupId, [{ topic: work.name, partition: 0, offset: 0 }]);
    },
  },
];
