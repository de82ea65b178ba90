import { silentLogger } from '@millrace/platform';
import { VirtualClock } from '@millrace/platform/simulated';
import type { Redis } from 'ioredis';
import { beforeEach, describe, expect, it } from 'vitest';
import { CommitQueue, type OpenCommit, type Slice, type SliceReply } from './commit-queue.ts';
import { PackBuffer } from './pack-buffer.ts';

/** A server that answers when it is told to, in order, as a connection does. */
class ScriptedRedis {
  readonly sent: string[] = [];
  readonly #calls: { readonly resolve: (reply: SliceReply) => void; readonly reject: (error: Error) => void }[] = [];

  evalsha(_sha: string, _count: number, key: string): Promise<SliceReply> {
    this.sent.push(key);
    return new Promise((resolve, reject) => void this.#calls.push({ resolve, reject }));
  }

  async answer(...replies: readonly (string | Error)[]): Promise<void> {
    for (const reply of replies) {
      const call = this.#calls.shift()!;
      if (reply instanceof Error) call.reject(reply);
      else call.resolve([reply, '0', '0']);
      await Promise.resolve();
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const outOfMemory = new Error("OOM command not allowed when used memory > 'maxmemory'");

describe('a queue of commits', () => {
  let redis: ScriptedRedis;
  let clock: VirtualClock;
  let queue: CommitQueue;
  let done: OpenCommit[];
  beforeEach(() => {
    redis = new ScriptedRedis();
    clock = new VirtualClock();
    done = [];
    queue = new CommitQueue({
      redis: redis as unknown as Redis,
      name: 'store',
      clock,
      logger: silentLogger,
      onDone: (commit) => void done.push(commit),
    });
  });
  const commitOf = (slices: number): OpenCommit => ({ buffer: new PackBuffer(16), openSlices: slices });
  const sliceOf = (name: string, commit = commitOf(1)): Slice => ({ keys: [name], args: () => [], commit });
  const verdictOf = (reply: Promise<SliceReply>): Promise<string> => reply.then(([verdict]) => verdict!, String);

  it('sends without waiting, and answers each slice with its verdict', async () => {
    const answers = ['a', 'b', 'c'].map((name) => verdictOf(queue.send(sliceOf(name))));
    expect(redis.sent).toEqual(['a', 'b', 'c']);
    await redis.answer('applied', 'gap', 'fenced');
    expect(await Promise.all(answers)).toEqual(['applied', 'gap', 'fenced']);
    expect(clock.pendingCount).toBe(0);
  });

  it('sends all again in order when one is refused for now, and takes gaps behind it for its own', async () => {
    const answers = ['a', 'b', 'c'].map((name) => verdictOf(queue.send(sliceOf(name))));
    await redis.answer('applied', outOfMemory, 'gap');
    const later = verdictOf(queue.send(sliceOf('d')));
    expect(redis.sent).toEqual(['a', 'b', 'c']);
    await clock.advance(25);
    expect(redis.sent).toEqual(['a', 'b', 'c', 'b', 'c', 'd']);
    await redis.answer('applied', 'applied', 'applied');
    expect(await Promise.all([...answers, later])).toEqual(['applied', 'applied', 'applied', 'applied']);
  });

  it('waits longer at each refusal, up to a second, and begins anew after a success', async () => {
    const answer = verdictOf(queue.send(sliceOf('a')));
    for (const waitMs of [25, 50, 100, 200, 400, 800, 1000, 1000]) {
      await redis.answer(outOfMemory);
      const before = redis.sent.length;
      await clock.advance(waitMs - 1);
      expect(redis.sent).toHaveLength(before);
      await clock.advance(1);
      expect(redis.sent).toHaveLength(before + 1);
    }
    await redis.answer('applied');
    expect(await answer).toBe('applied');
    void queue.send(sliceOf('b'));
    await redis.answer(outOfMemory);
    await clock.advance(25);
    expect(redis.sent.slice(-2)).toEqual(['b', 'b']);
  });

  it('rejects what would be refused again, and goes on with the next', async () => {
    const answers = ['a', 'b'].map((name) => verdictOf(queue.send(sliceOf(name))));
    await redis.answer(new Error("NOPERM this user has no permissions to run the 'evalsha' command"), 'gap');
    expect(await Promise.all(answers)).toEqual([expect.stringContaining('NOPERM'), 'gap']);
  });

  it('gives a commit its memory back with its last slice, not before', async () => {
    const commit = commitOf(2);
    void queue.send(sliceOf('a', commit));
    void queue.send(sliceOf('b', commit));
    await redis.answer('applied');
    expect(done).toEqual([]);
    await redis.answer(outOfMemory);
    expect(done).toEqual([]);
    await clock.advance(25);
    await redis.answer('applied');
    expect(done).toEqual([commit]);
  });

  it('is settled when everything is answered, also by a refusal', async () => {
    await queue.settled();
    const answer = verdictOf(queue.send(sliceOf('a')));
    let isSettled = false;
    const settled = queue.settled().then(() => (isSettled = true));
    await redis.answer(outOfMemory);
    expect(isSettled).toBe(false);
    await clock.advance(25);
    await redis.answer('lost');
    await settled;
    expect(await answer).toBe('lost');
  });

  it('turns away whoever waits when it closes, and sends nothing more', async () => {
    const answer = verdictOf(queue.send(sliceOf('a')));
    await redis.answer(outOfMemory);
    queue.close();
    expect(await answer).toMatch(/closed/);
    expect(await verdictOf(queue.send(sliceOf('b')))).toMatch(/closed/);
    await queue.settled();
    await clock.advance(5000);
    expect(redis.sent).toEqual(['a']);
  });
});
