import { nodePlatform } from '@millrace/platform';
import { apis, errorCodes } from '@millrace/protocol';
import { string, topic } from '@millrace/serde';
import { afterEach, expect, it } from 'vitest';
import { Client } from './client.ts';
import { recordsFrom, ScriptedGroup } from './testing/scripted-group.ts';

const letters = topic('t', { key: string, value: string });
const requestTimeoutMs = 5_000;
const groups: ScriptedGroup[] = [];

async function open(): Promise<ScriptedGroup> {
  const group = new ScriptedGroup();
  groups.push(group);
  group.fetched = (_, offset) => (offset === 0 ? { records: recordsFrom(0, 2) } : undefined);
  const { broker } = group;
  broker.on(apis.produce, () => ({ responses: [{ name: 't', partitionResponses: [{ index: 0, baseOffset: 0 }] }] }));
  broker.on(apis.addPartitionsToTxn, (request) => ({
    resultsByTopicV3AndBelow: request.v3AndBelowTopics.map(({ name, partitions }) => ({
      name,
      resultsByPartition: partitions.map((partitionIndex) => ({ partitionIndex, partitionErrorCode: 0 })),
    })),
  }));
  broker.on(apis.endTxn, () => ({ errorCode: errorCodes.NONE }));
  await group.connect({ requestTimeoutMs });
  return group;
}

/** How long a close takes that must come to an end. */
async function timeOf(group: ScriptedGroup, close: () => Promise<void>): Promise<number> {
  const startMs = group.clock.monotonic();
  await group.run(close());
  return group.clock.monotonic() - startMs;
}

afterEach(async () => {
  for (const group of groups.splice(0)) await group.run(group.client.close());
});

it.each(['consumer', 'client'] as const)(
  'closes a %s within requestTimeoutMs when the broker hangs with a commit to make and a group to leave',
  async (what) => {
    const group = await open();
    const consumer = group.client.consumer({ groupId: 'g', topics: [letters] });
    const records = consumer[Symbol.asyncIterator]();
    for (let i = 0; i < 2; i++) await group.run(records.next());
    group.broker.isHung = true;
    expect(await timeOf(group, () => (what === 'client' ? group.client : consumer).close())).toBeLessThanOrEqual(
      requestTimeoutMs + 10,
    );
  },
);

it.each([
  ['is joining', apis.joinGroup],
  ['looks for its coordinator', apis.findCoordinator],
  ['asks for what the group has committed', apis.offsetFetch],
])('closes a consumer at once that %s when the broker does not answer', async (_, api) => {
  const group = await open();
  group.broker.on(api, () => 'lost');
  const consumer = group.client.consumer({ groupId: 'g', topics: [letters] });
  const next = consumer[Symbol.asyncIterator]().next();
  await group.until(() => group.broker.arrivals.includes(api.name));
  await group.clock.advance(100);
  group.broker.on(apis.findCoordinator, () => 'cut'); // there is nobody to be told that it leaves
  expect(await timeOf(group, () => consumer.close())).toBeLessThanOrEqual(100);
  expect(await group.run(next)).toEqual({ done: true, value: undefined });
});

it('closes at once a client that connects to a broker which takes the connection and says nothing', async () => {
  const group = await open();
  group.broker.isHung = true;
  group.broker.cutAll();
  const asked = group.client.admin.describeCluster();
  asked.catch(() => {});
  await group.clock.advance(200);
  expect(await timeOf(group, () => group.client.close())).toBeLessThanOrEqual(20);
  await expect(group.run(asked, 20)).rejects.toMatchObject({ code: 'CLOSED' });
  expect(group.broker.connectionCount).toBe(0);
});

it('waits, when it closes, for a commit that is under way', async () => {
  const group = await open();
  let commit: () => void = () => {};
  group.broker.on(apis.endTxn, async () => {
    await new Promise<void>((resolve) => (commit = resolve));
    return { errorCode: errorCodes.NONE };
  });
  const producer = group.client.transactionalProducer({ transactionalId: 'copier' });
  const done = producer.transaction((transaction) => transaction.send(letters, { key: 'k', value: 'v' }));
  const never = producer.transaction(() => Promise.resolve());
  never.catch(() => {});
  await group.until(() => group.broker.arrivals.includes('EndTxn'));
  group.clock.after(2_000, () => commit());
  expect(await timeOf(group, () => producer.close())).toBeGreaterThanOrEqual(1_990);
  expect(await done).toMatchObject({ offset: 0 });
  await expect(never).rejects.toMatchObject({ code: 'CLOSED' });
});

it('waits for a commit whose records are still on their way, and not for longer than requestTimeoutMs', async () => {
  const group = await open();
  let append: () => void = () => {};
  group.broker.on(apis.produce, async () => {
    await new Promise<void>((resolve) => (append = resolve));
    return { responses: [{ name: 't', partitionResponses: [{ index: 0, baseOffset: 0 }] }] };
  });
  for (const isAnswered of [true, false]) {
    const producer = group.client.transactionalProducer({ transactionalId: 'copier' });
    const arrived = group.broker.arrivals.length;
    const done = producer.transaction((transaction) => {
      void transaction.send(letters, { key: 'k', value: 'v' }).catch(() => {});
      return Promise.resolve('done');
    });
    done.catch(() => {});
    await group.until(() => group.broker.arrivals.slice(arrived).includes('Produce'));
    if (isAnswered) group.clock.after(1_000, () => append());
    expect(await timeOf(group, () => producer.close())).toBeLessThanOrEqual(requestTimeoutMs + 10);
    if (isAnswered) expect(await done).toBe('done');
    else await expect(group.run(done)).rejects.toMatchObject({ code: 'CLOSED' });
  }
});

it('aborts, when it closes, a transaction whose work is not done', async () => {
  const group = await open();
  const ended: boolean[] = [];
  group.broker.on(apis.endTxn, ({ committed }) => {
    ended.push(committed);
    return { errorCode: errorCodes.NONE };
  });
  const producer = group.client.transactionalProducer({ transactionalId: 'copier' });
  let finish: () => void = () => {};
  const done = producer.transaction(async (transaction) => {
    await transaction.send(letters, { key: 'k', value: 'v' });
    await new Promise<void>((resolve) => (finish = resolve));
  });
  done.catch(() => {});
  await group.until(() => group.broker.arrivals.includes('Produce'));
  await group.clock.advance(100);
  await group.run(Promise.all([producer.close(), producer.close()]));
  finish();
  await expect(group.run(done)).rejects.toMatchObject({ code: 'CLOSED' });
  expect(ended).toEqual([false]);
});

it('closes a transactional producer within requestTimeoutMs when nobody answers', async () => {
  const group = await open();
  const producer = group.client.transactionalProducer({ transactionalId: 'copier' });
  const done = producer.transaction(async (transaction) => {
    await transaction.send(letters, { key: 'k', value: 'v' });
    group.broker.isHung = true;
    await transaction.send(letters, { key: 'k', value: 'unanswered' });
  });
  done.catch(() => {});
  await group.until(() => group.broker.isHung);
  expect(await timeOf(group, () => producer.close())).toBeLessThanOrEqual(requestTimeoutMs + 10);
  await expect(group.run(done, 100)).rejects.toMatchObject({ code: 'CLOSED' });
});

it('gives up to connect when its signal aborts', async () => {
  const group = await open();
  group.broker.isHung = true;
  const abort = new AbortController();
  const platform = { ...nodePlatform(), clock: group.clock };
  const connecting = Client.connect(group.broker, { platform, signal: abort.signal });
  connecting.catch(() => {});
  await group.clock.advance(100);
  abort.abort(new Error('shutting down'));
  await expect(group.run(connecting, 100)).rejects.toThrow('shutting down');
});
