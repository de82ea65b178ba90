import { expect, it } from 'vitest';
import { Outcome } from './outcome.ts';

const failure = new Error('failed');
const closed = new Error('closed');

/** Rejections that nobody has taken notice of by the end of the turn, as Node sees them. */
async function unhandled(work: () => void): Promise<unknown[]> {
  const reasons: unknown[] = [];
  const others = process.listeners('unhandledRejection');
  process.removeAllListeners('unhandledRejection');
  process.on('unhandledRejection', (reason) => reasons.push(reason));
  work();
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  process.removeAllListeners('unhandledRejection');
  for (const listener of others) process.on('unhandledRejection', listener);
  return reasons;
}

it('is an unhandled rejection when it fails and nobody waits for it', async () => {
  expect(await unhandled(() => new Outcome().failed(failure))).toEqual([failure]);
  const running = new Outcome();
  void running.running;
  running.ran();
  expect(await unhandled(() => running.failed(failure)), 'after it ran, whoever waited for that').toEqual([failure]);
});

it('is none where somebody waits for one of the two', async () => {
  const before = new Outcome();
  const rejected = expect(before.running).rejects.toBe(failure);
  expect(await unhandled(() => before.failed(failure))).toEqual([]);
  await rejected;
  const after = new Outcome();
  after.ran();
  const done = expect(after.done).rejects.toBe(failure);
  expect(await unhandled(() => after.failed(failure))).toEqual([]);
  await done;
});

it('resolves when closed, and tells those who wait for it to run that it will not', async () => {
  const outcome = new Outcome();
  expect(await unhandled(() => outcome.closed(closed))).toEqual([]);
  await expect(outcome.done).resolves.toBeUndefined();
  await expect(outcome.running).rejects.toBe(closed);
});
