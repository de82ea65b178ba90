import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { firstValueFrom } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { json, string, topic } from '@millrace/serde';
import { StreamsBuilder } from '../dsl/builder.ts';
import { StallingEndpoint } from '../testing/stalling-endpoint.ts';
import { Streams, type StreamsOptions } from './app.ts';

const input = topic('numbers', { key: string, value: json<number>(), numPartitions: 2 });
const copies = topic('copies', { key: string, value: json<number>(), numPartitions: 2 });
const sums = topic('sums', { key: string, value: json<number>(), numPartitions: 2 });

function plan() {
  const builder = new StreamsBuilder('faults');
  const number$ = builder.stream(input);
  number$.to(copies);
  number$
    .groupByKey()
    .reduce((a, b) => a + b, { name: 'sums' })
    .to(sums);
  return builder.build();
}

const options = (cluster: StreamsOptions['cluster'], more: Partial<StreamsOptions> = {}): StreamsOptions => ({
  cluster,
  commitIntervalMs: 5,
  ...more,
});

const records = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({ key: `k${(from + i) % 5}`, value: from + i }));

/** Reads `count` copies, then whatever else there is: each number once, in order of its key. */
async function expectEachOnce(client: Client, count: number): Promise<void> {
  const seen: number[] = [];
  for await (const { value } of client.records(copies)) if (seen.push(value) >= count) break;
  seen.length = 0;
  const byKey = new Map<string, number[]>();
  for await (const { key, value } of client.records(copies, { to: 'end' })) {
    seen.push(value);
    byKey.set(key, [...(byKey.get(key) ?? []), value]);
  }
  expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
  for (const values of byKey.values()) expect(values).toEqual(values.toSorted((a, b) => a - b));
}

/** Resolves when the app has failed to commit, and has begun again. */
async function recovered(app: Streams): Promise<void> {
  const pattern = /^millrace_streams_recoveries_total\{application="faults"\} [1-9]/m;
  while (!pattern.test((await firstValueFrom(app.metrics$)).prometheus())) {
    await Promise.race([app.done, new Promise((resolve) => setImmediate(resolve))]);
  }
}

describe('an app goes on', () => {
  it('when its broker is restarted under it', async () => {
    const data = mkdtempSync(join(tmpdir(), 'millrace-faults-'));
    try {
      let broker = await Broker.open({ data, listen: { port: 0 } });
      const { address } = broker;
      const client = await Client.connect(address);
      await client.admin.createTopics([input, copies, sums]);
      const app = Streams.start(plan(), options(address));
      await app.running;
      const producer = client.producer();
      await producer.send(input, records(0, 100));
      await expectEachOnce(client, 100);

      void producer.send(input, records(100, 100));
      await broker.close();
      broker = await Broker.open({ data, listen: { port: Number(address.split(':')[1]) } });
      await producer.flush();
      await producer.send(input, records(200, 100));
      await expectEachOnce(client, 300);
      await app.close();
      await expect(app.done).resolves.toBeUndefined();
      await client.close();
      await broker.close();
    } finally {
      rmSync(data, { recursive: true });
    }
  }, 60_000);

  it.each([
    ['Produce', 0],
    ['TxnOffsetCommit', 28],
    ['EndTxn', 26],
  ])(
    'when it is stopped at %s until others have its partitions, and commits nothing that they do',
    async (_, apiKey) => {
      await using broker = await Broker.open({ data: 'memory', config: { 'group.min.session.timeout.ms': 100 } });
      await using client = await Client.connect(broker);
      await client.admin.createTopics([input, copies, sums]);
      const producer = client.producer();
      const endpoint = new StallingEndpoint(broker);
      const zombie = Streams.start(plan(), options(endpoint, { sessionTimeoutMs: 300, groupInstanceId: 'zombie' }));
      await zombie.running;
      await producer.send(input, records(0, 50));
      await expectEachOnce(client, 50);
      const stalled = endpoint.stallAt(apiKey);
      await producer.send(input, records(50, 50));
      await stalled;

      // A name of its own: behind the stalling endpoint the zombie has the one that this would get.
      const owners = async (): Promise<readonly string[]> => {
        const [group] = await client.admin.describeConsumerGroups(['faults']);
        return group!.members.filter(({ assignment }) => assignment.length > 0).map(({ memberId }) => memberId);
      };
      const [before] = await owners();
      const heir = Streams.start(plan(), options(broker, { groupInstanceId: 'heir' }));
      for (let now = await owners(); now.length !== 1 || now[0] === before; now = await owners()) {
        await Promise.race([heir.done, new Promise((resolve) => setImmediate(resolve))]);
      }
      await producer.send(input, records(100, 50));
      endpoint.goOn();
      await producer.send(input, records(150, 50));
      await expectEachOnce(client, 200);
      await recovered(zombie); // it may learn that it was refused after the heir is done
      await zombie.close();
      await heir.close();
      await expectEachOnce(client, 200);
      const last = new Map<string, number>();
      for await (const { key, value } of client.records(sums, { to: 'end' })) last.set(key, value);
      const expected = new Map<string, number>();
      for (const { key, value } of records(0, 200)) expected.set(key, (expected.get(key) ?? 0) + value);
      expect(last).toEqual(expected);
    },
    60_000,
  );
});

/** Without state: the heir has no changelog to wait for, and commits while the zombie's transaction is open. */
function copiesOnly() {
  const builder = new StreamsBuilder('faults');
  builder.stream(input).to(copies);
  return builder.build();
}

/** Resolves when the group has committed the whole input. */
async function committed(client: Client, app: Streams): Promise<void> {
  for (;;) {
    const offsets = await client.admin.listConsumerGroupOffsets('faults');
    const ends = await client.admin.listOffsets(input.name, 'latest');
    const isBehind = (at: { readonly partition: number; readonly offset: number }): boolean =>
      at.offset > (offsets.find(({ partition }) => partition === at.partition)?.offset ?? 0);
    if (!ends.some(isBehind)) return;
    await Promise.race([app.done, new Promise((resolve) => setImmediate(resolve))]);
  }
}

describe('an instance whose tasks have moved', () => {
  // Its transactional id is its own, so its producer is not fenced: only the group's generation tells (KIP-447).
  it.each([
    ['AddOffsetsToTxn', 25],
    ['TxnOffsetCommit', 28],
  ])('cannot commit what its heir has committed, when it was stopped at %s', async (_, apiKey) => {
    await using broker = await Broker.open({ data: 'memory', config: { 'group.min.session.timeout.ms': 100 } });
    await using client = await Client.connect(broker);
    await client.admin.createTopics([input, copies]);
    const producer = client.producer();
    const endpoint = new StallingEndpoint(broker);
    await using zombie = Streams.start(
      copiesOnly(),
      options(endpoint, { sessionTimeoutMs: 300, groupInstanceId: 'zombie' }),
    );
    await zombie.running;
    await producer.send(input, records(0, 50));
    await expectEachOnce(client, 50);
    const stalled = endpoint.stallAt(apiKey);
    await producer.send(input, records(50, 50));
    await stalled;

    await using heir = Streams.start(copiesOnly(), options(broker, { groupInstanceId: 'heir' }));
    await committed(client, heir);
    endpoint.goOn();
    await expectEachOnce(client, 100); // readers have waited for the end of the zombie's transaction
    await zombie.close();
    await expectEachOnce(client, 100);
  });
});

describe('an app ends', () => {
  it('when another one has taken its groupInstanceId, and does not fence it in turn', async () => {
    await using broker = await Broker.open({ data: 'memory' });
    await using client = await Client.connect(broker);
    await client.admin.createTopics([input, copies, sums]);
    const first = Streams.start(plan(), options(broker, { groupInstanceId: 'a' }));
    await first.running;
    const second = Streams.start(plan(), options(broker, { groupInstanceId: 'a' }));
    const producer = client.producer();
    const sending = producer.send(input, records(0, 100));
    await expect(first.done).rejects.toMatchObject({ code: 'FENCED_INSTANCE_ID' });
    await sending;
    await second.running;
    await producer.send(input, records(100, 100));
    await expectEachOnce(client, 200);
    await second.close();
  }, 60_000);

  it('when a source has got more partitions than its state', async () => {
    await using broker = await Broker.open({ data: 'memory' });
    await using client = await Client.connect(broker);
    await client.admin.createTopics([input, copies, sums]);
    const first = Streams.start(plan(), options(broker));
    await first.running;
    await first.close();
    await client.admin.createPartitions('numbers', 3);
    const second = Streams.start(plan(), options(broker));
    await expect(second.done).rejects.toMatchObject({
      code: 'INCOMPATIBLE_PLAN',
      context: { partitions: 2, needed: 3 },
    });
  });
});
