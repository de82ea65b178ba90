import { apis } from '@millrace/protocol';
import { string, topic } from '@millrace/serde';
import { afterEach, expect, it } from 'vitest';
import { ScriptedGroup } from '../testing/scripted-group.ts';

const letters = topic('t', { key: string, value: string });
const groups: ScriptedGroup[] = [];

async function open(): Promise<{ group: ScriptedGroup; values: number; isAway: boolean }> {
  const group = new ScriptedGroup();
  groups.push(group);
  const state = { group, values: 0, isAway: false };
  group.broker.on(apis.produce, () => {
    if (state.isAway) return 'lost';
    state.values++;
    return { responses: [{ name: 't', partitionResponses: [{ index: 0, baseOffset: 0 }] }] };
  });
  await group.connect();
  return state;
}

afterEach(async () => {
  for (const group of groups.splice(0)) await group.run(group.client.close());
});

it('closes when what still waits to be taken up is sent too, and refuses what comes later', async () => {
  const state = await open();
  const producer = state.group.client.producer();
  const sent = producer.send(letters, { key: 'k', value: 'asks for the topic first' });
  const closed = producer.close();
  await expect(producer.send(letters, { key: 'k', value: 'late' })).rejects.toMatchObject({ code: 'CLOSED' });
  await state.group.run(closed);
  expect(await sent).toMatchObject({ topic: 't', partition: 0 });
  expect(state.values).toBe(1);
});

it('closes within the request timeout when nothing can be sent', async () => {
  const state = await open();
  const { group } = state;
  const producer = group.client.producer({ bufferMemoryBytes: 1 });
  await group.run(producer.send(letters, { key: 'k', value: 'first' }));
  state.isAway = true;
  const outcomes = ['a', 'b', 'c'].map((value) => producer.send(letters, { key: 'k', value }));
  const startMs = group.clock.monotonic();
  const settled = Promise.allSettled(outcomes);
  await group.run(producer.close());
  expect(group.clock.monotonic() - startMs).toBeLessThanOrEqual(30_010);
  for (const outcome of await group.run(settled)) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'CLOSED' } });
  }
});

it('fails what finds no room within deliveryTimeoutMs, however many wait', async () => {
  const state = await open();
  const { group } = state;
  const producer = group.client.producer({ bufferMemoryBytes: 1, deliveryTimeoutMs: 1_000 });
  await group.run(producer.send(letters, { key: 'k', value: 'first' }));
  state.isAway = true;
  const startMs = group.clock.monotonic();
  const settled = Promise.allSettled(
    ['a', 'b', 'c', 'd', 'e', 'f'].map((value) => producer.send(letters, { key: 'k', value })),
  );
  for (const outcome of await group.run(settled)) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'DELIVERY_TIMEOUT' } });
  }
  // One was let in just before the end, and had its own time.
  expect(group.clock.monotonic() - startMs).toBeLessThanOrEqual(2_020);
});
