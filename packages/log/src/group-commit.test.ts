import { VirtualClock } from '@millrace/platform/simulated';
import { expect, it } from 'vitest';
import type { KafkaStorageError } from './errors.ts';
import { GroupCommit, type CommitMember, type FlushMode } from './group-commit.ts';

/** A disk whose syncs end when the test says so. */
class Member implements CommitMember {
  readonly #name: string;
  readonly #events: string[];
  finishSync: () => void = () => {};
  failSync: (error: Error) => void = () => {};
  writeError: Error | undefined;
  failure: KafkaStorageError | undefined;

  constructor(name: string, events: string[]) {
    this.#name = name;
    this.#events = events;
  }

  write(): void {
    if (this.writeError !== undefined) throw this.writeError;
    this.#events.push(`write ${this.#name}`);
  }

  sync(): Promise<void> {
    this.#events.push(`sync ${this.#name}`);
    return new Promise((resolve, reject) => {
      this.finishSync = resolve;
      this.failSync = reject;
    });
  }

  committed(): void {
    this.#events.push(`committed ${this.#name}`);
  }

  announce(): void {
    this.#events.push(`announce ${this.#name}`);
  }

  fail(error: KafkaStorageError): void {
    this.failure = error;
  }
}

function setUp(flush: FlushMode): {
  clock: VirtualClock;
  commits: GroupCommit;
  events: string[];
  failures: Error[];
  a: Member;
  b: Member;
} {
  const clock = new VirtualClock();
  const events: string[] = [];
  const failures: Error[] = [];
  const commits = new GroupCommit({ flush, clock, onFailure: (error) => void failures.push(error) });
  return { clock, commits, events, failures, a: new Member('a', events), b: new Member('b', events) };
}

it('writes once a turn and log, syncs side by side, moves all marks, then wakes, then answers', async () => {
  const { clock, commits, events, a, b } = setUp('commit');
  const first = commits.enlist(a);
  expect(commits.enlist(b)).toBe(first);
  expect(commits.enlist(a)).toBe(first);
  void first.done.then(() => events.push('done'));
  await clock.advance(0);
  expect(events).toEqual(['write a', 'write b', 'sync a', 'sync b']);
  a.finishSync();
  await clock.advance(0);
  expect(events.length).toBe(4);
  b.finishSync();
  await clock.advance(0);
  expect(events.slice(4)).toEqual(['committed a', 'committed b', 'announce a', 'announce b', 'done']);
});

it('gathers the turns that pass during a sync into one commit', async () => {
  const { clock, commits, events, a, b } = setUp('commit');
  const first = commits.enlist(a);
  await clock.advance(0);
  const second = commits.enlist(a);
  await clock.advance(1);
  expect(commits.enlist(b)).toBe(second);
  expect(second).not.toBe(first);
  await clock.advance(1);
  expect(events).toEqual(['write a', 'sync a']);
  a.finishSync();
  await first.done;
  await clock.advance(0);
  expect(events.slice(4)).toEqual(['write a', 'write b', 'sync a', 'sync b']);
  a.finishSync();
  b.finishSync();
  await second.done;
  await commits.drain();
});

it('fails everything at once, and for good, when a sync fails', async () => {
  const { clock, commits, events, failures, a, b } = setUp('commit');
  const first = commits.enlist(a);
  commits.enlist(b);
  await clock.advance(0);
  const second = commits.enlist(a); // gathers behind it
  const failed = [first, second].map((commit) =>
    expect(commit.done).rejects.toMatchObject({ code: 'KAFKA_STORAGE_ERROR' }),
  );
  b.failSync(new Error('EIO'));
  await clock.advance(0);
  a.finishSync(); // too late
  await clock.advance(0);
  await Promise.all(failed);
  expect(events.filter((event) => event.startsWith('committed'))).toEqual([]);
  expect(failures).toEqual([commits.failure]);
  expect([a.failure, b.failure]).toEqual([commits.failure, commits.failure]);
  expect(() => commits.enlist(a)).toThrow(commits.failure);
  await expect(commits.drain()).rejects.toBe(commits.failure);
});

it('fails everything when a write fails, before anything is synced', async () => {
  const { clock, commits, events, failures, a, b } = setUp('commit');
  b.writeError = new Error('ENOSPC');
  const { done } = commits.enlist(a);
  commits.enlist(b);
  const failed = expect(done).rejects.toMatchObject({ code: 'KAFKA_STORAGE_ERROR', cause: b.writeError });
  await clock.advance(0);
  await failed;
  expect(events).toEqual(['write a']);
  expect(failures.length).toBe(1);
});

it("answers after the write in mode 'os'", async () => {
  const { clock, commits, events, a } = setUp('os');
  const { done } = commits.enlist(a);
  await clock.advance(0);
  await done;
  expect(events).toEqual(['write a', 'committed a', 'announce a']);
});

it('syncs once per interval, and when it drains', async () => {
  const { clock, commits, events, a } = setUp('interval:10');
  await Promise.all([commits.enlist(a).done, clock.advance(0)]);
  await Promise.all([commits.enlist(a).done, clock.advance(9)]);
  expect(events.filter((event) => event === 'sync a')).toEqual([]);
  await clock.advance(1);
  expect(events.filter((event) => event === 'sync a')).toEqual(['sync a']);
  a.finishSync();
  await Promise.all([commits.enlist(a).done, clock.advance(0)]);
  const drained = commits.drain();
  await clock.advance(0);
  expect(events.filter((event) => event === 'sync a').length).toBe(2);
  a.finishSync();
  await drained;
});

it('refuses a flush mode that is none', () => {
  const options = { clock: new VirtualClock(), onFailure: () => {} };
  expect(() => new GroupCommit({ ...options, flush: 'interval:soon' as FlushMode })).toThrow(RangeError);
  expect(() => new GroupCommit({ ...options, flush: 'interval:-1' })).toThrow(RangeError);
  expect(() => new GroupCommit({ ...options, flush: 'sometimes' as FlushMode })).toThrow(RangeError);
});

it('drains what a sync under way holds, and what one that waits for it will', async () => {
  const clock = new VirtualClock();
  const commits = new GroupCommit({ flush: 'interval:10', clock, onFailure: () => {} });
  let syncedCount = 0;
  const member: CommitMember = {
    write() {},
    async sync() {
      await new Promise<void>((resolve) => void clock.after(25, resolve));
      syncedCount++;
    },
    committed() {},
    announce() {},
    fail() {},
  };
  commits.enlist(member);
  await clock.advance(11); // its sync is under way
  commits.enlist(member);
  await clock.advance(12); // the next waits for it
  let syncedWhenDrained = -1;
  void commits.drain().then(() => (syncedWhenDrained = syncedCount));
  await clock.advance(100);
  expect([syncedCount, syncedWhenDrained]).toEqual([2, 2]);
});
