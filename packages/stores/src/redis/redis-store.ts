import assert from 'node:assert/strict';
import type { Clock, Logger, Random } from '@millrace/platform';
import type {
  BackendStore,
  ClaimAnswer,
  CommitAnswer,
  PrefetchAnswer,
  StoreClaim,
  StoreCommit,
  StoredValue,
  StoreKey,
  StoreSpec,
  StoreWrite,
} from '@millrace/streams/state';
import type { Redis } from 'ioredis';
import { CommitQueue, type OpenCommit, type SliceReply } from './commit-queue.ts';
import { StoreFencedError, StoreStaleError } from './errors.ts';
import {
  fieldOf,
  joinSegments,
  keyOf,
  mainKey,
  marks,
  readMs,
  segmentKey,
  splitSegments,
  windowFieldOf,
} from './layout.ts';
import { PackBuffers, type Packed, type PackedWrite } from './pack-buffer.ts';
import { persistently } from './refusals.ts';
import { claimScript, resetScript, run } from './scripts.ts';

export interface RedisStoreSettings {
  readonly redis: Redis;
  readonly prefix: string;
  readonly spec: StoreSpec;
  /** Tells other programs of the store: again at each rebuild, as whatever took the data may have taken that too. */
  readonly announce: () => Promise<unknown>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The highest epoch that was met in the stored data so far, in this process: see `claim`. */
  readonly seenEpochs: Map<string, number>;
}

/** Changes in one script: they hold the server for about 3.5 ms. */
const maxFields = 5000;
/** Bytes of changes in one script. Redis closes a connection that brings an argument of more than 512 MB. */
const maxBytes = 8 * 1024 * 1024;

/**
 * One partition of a store in Redis, as its owner works on it. Commits are sent without waiting for each other, and one of more
 * than 5,000 changes or 8 MiB is cut into ranges of the changelog. Reads carry the marks, and are compared with what the last commit
 * left: a read that is older, or another owner's, is never taken for the state.
 */
export class RedisStore implements BackendStore {
  readonly isSynchronous = false;
  readonly #settings: RedisStoreSettings;
  readonly #key: string;
  readonly #isWindow: boolean;
  readonly #segmentMs: number;
  readonly #buffers = new PackBuffers();
  readonly #commits: CommitQueue;
  readonly #closing = new AbortController();
  /** An epoch met before this owner wrote its barrier. In an unbroken log that barrier lies behind it. */
  #seenEpoch: number;

  #epoch = -1;
  #topicId = '';
  #incarnation = '';
  /** Range of the changelog as of the last claim: a rebuild is complete when it has come to its end. */
  #firstOffset = 0;
  #endOffset = 0;
  /** Until here the store is being filled; −1: it is whole. */
  #buildingUntil = -1;
  /** What `o` is once all that was sent is applied. */
  #sentOffset = 0;
  /** Live segments, and the offset of the last commit sent that touched each. */
  readonly #segments = new Map<number, number>();
  #expireBeforeMs = -Infinity;
  readonly #positions = new Map<string, number>();

  constructor(settings: RedisStoreSettings) {
    const { spec, redis, clock, logger } = settings;
    this.#settings = settings;
    this.#key = mainKey(
      { prefix: settings.prefix, applicationId: spec.applicationId, store: spec.name },
      spec.partition,
    );
    this.#isWindow = spec.kind === 'window';
    this.#segmentMs = Math.max(1, spec.windowMs);
    this.#seenEpoch = settings.seenEpochs.get(this.#key) ?? -1;
    this.#commits = new CommitQueue({
      redis,
      name: this.#key,
      clock,
      logger,
      onDone: (commit) => this.#buffers.give(commit.buffer),
    });
  }

  // ── Taking it ──

  async claim(claim: StoreClaim): Promise<ClaimAnswer> {
    await this.#commits.settled();
    this.#topicId = claim.changelogTopicId ?? '-';
    this.#firstOffset = claim.changelogStartOffset;
    this.#endOffset = claim.changelogEndOffset;
    this.#epoch = claim.epoch;
    const [
      verdict,
      o,
      epoch,
      incarnation,
      timestamp,
      building,
      positions,
      expired,
      segments,
      streamTime,
      ...segmentMarks
    ] = await this.#persistently(() =>
      run(
        this.#settings.redis,
        claimScript,
        [this.#key],
        [claim.epoch, this.#topicId, segmentKey(this.#key, 0).slice(0, -1)],
      ),
    );
    if (verdict === 'nothing') return lost('there is nothing');
    if (verdict === 'foreign') return lost('it is of another changelog, or of one that was deleted since');
    if (verdict === 'higher') {
      if (Number(epoch) <= this.#seenEpoch) {
        // The group has made this instance the owner since, and its barrier lies before the other: the log was cut short.
        return lost(
          `it is of epoch ${epoch}, and the changelog has lost that barrier: the owner's is at ${claim.epoch}`,
        );
      }
      this.#settings.seenEpochs.set(this.#key, Number(epoch));
      return { verdict: 'fenced', epoch: Number(epoch) };
    }
    const nextOffset = Number(o);
    if (nextOffset > claim.changelogEndOffset) {
      return lost(`it stands at ${nextOffset}, beyond the end of the changelog, ${claim.changelogEndOffset}`);
    }
    if (nextOffset < claim.changelogStartOffset) {
      return lost(`it stands at ${nextOffset}, and the changelog begins at ${claim.changelogStartOffset}`);
    }
    const isBehind = nextOffset < claim.changelogEndOffset;
    if (
      isBehind &&
      claim.deleteRetentionMs !== undefined &&
      claim.nowMs - Number(timestamp) > claim.deleteRetentionMs
    ) {
      // Tombstones that it has not seen may be compacted away: what they deleted would stay for ever.
      return lost(`it last moved ${claim.nowMs - Number(timestamp)} ms ago, longer than delete.retention.ms`);
    }
    this.#segments.clear();
    for (const [i, segment] of splitSegments(segments!).entries()) {
      if (segmentMarks[2 * i] !== incarnation) return lost(`its segment ${segment} is gone`);
      this.#segments.set(segment, Number(segmentMarks[2 * i + 1]));
    }
    this.#forgetSeenEpoch();
    this.#incarnation = incarnation!;
    this.#sentOffset = nextOffset;
    this.#buildingUntil = building === '' ? -1 : Number(building!.slice('building:'.length));
    this.#expireBeforeMs = expired === '' ? -Infinity : Number(expired);
    this.#positions.clear();
    if (positions !== '') {
      const stored = JSON.parse(positions!) as Readonly<Record<string, number>>;
      for (const [name, offset] of Object.entries(stored)) this.#positions.set(name, offset);
    }
    return { verdict: 'claimed', nextOffset, streamTimeMs: streamTime === '' ? -1 : Number(streamTime) };
  }

  /** @throws {StoreFencedError} a later owner has it */
  async reset(epoch: number): Promise<void> {
    assert(epoch === this.#epoch, 'a reset follows its claim');
    await this.#commits.settled();
    const incarnation = Buffer.from(this.#settings.random.bytes(12)).toString('base64url');
    const isWhole = this.#endOffset <= this.#firstOffset; // the changelog is empty
    const [verdict, stored] = await this.#persistently(() =>
      run(
        this.#settings.redis,
        resetScript,
        [this.#key],
        [
          epoch,
          this.#topicId,
          incarnation,
          isWhole ? '' : `building:${this.#endOffset}`,
          segmentKey(this.#key, 0).slice(0, -1),
          this.#firstOffset,
          this.#seenEpoch,
        ],
      ),
    );
    if (verdict === 'fenced') throw new StoreFencedError(this.#key, epoch, Number(stored));
    this.#forgetSeenEpoch();
    await this.#persistently(this.#settings.announce);
    this.#incarnation = incarnation;
    this.#buildingUntil = isWhole ? -1 : this.#endOffset;
    this.#sentOffset = this.#firstOffset;
    this.#segments.clear();
    this.#expireBeforeMs = -Infinity;
    this.#positions.clear();
  }

  /** Epochs met from here on come after this owner's. */
  #forgetSeenEpoch(): void {
    this.#seenEpoch = -1;
    this.#settings.seenEpochs.delete(this.#key);
  }

  // ── Writing ──

  async commit(batch: StoreCommit): Promise<CommitAnswer> {
    assert(batch.writes.length === batch.offsets.length, 'each write has its offset');
    let positionsChanged = false;
    for (const { topic, partition, offset } of batch.positions) {
      const name = `${topic}-${partition}`;
      positionsChanged ||= this.#positions.get(name) !== offset;
      this.#positions.set(name, offset);
    }
    if (batch.prevOffset === batch.nextOffset && !positionsChanged) return { verdict: 'replay' };
    const commit: OpenCommit = { buffer: this.#buffers.take(), openSlices: 0 };
    const replies: Promise<SliceReply>[] = [];
    let prevOffset = batch.prevOffset;
    let from = 0;
    do {
      const until = endOfSlice(batch.writes, from);
      const isLast = until === batch.writes.length;
      const nextOffset = isLast ? batch.nextOffset : batch.offsets[until - 1]! + 1;
      const writes = from === 0 && isLast ? batch.writes : batch.writes.slice(from, until);
      const positions = isLast && positionsChanged ? JSON.stringify(Object.fromEntries(this.#positions)) : '';
      commit.openSlices++;
      replies.push(this.#sendSlice(batch, commit, writes, prevOffset, nextOffset, positions, isLast));
      prevOffset = nextOffset;
      from = until;
    } while (from < batch.writes.length);

    let answer: CommitAnswer = { verdict: 'replay' };
    for (const [verdict, o, epoch] of await Promise.all(replies)) {
      if (verdict === 'fenced') return { verdict, epoch: Number(epoch) };
      if (verdict === 'gap') return { verdict, nextOffset: Number(o) };
      if (verdict === 'lost') return lost('its data is gone, or not of this owner');
      if (verdict === 'applied') answer = { verdict };
    }
    return answer;
  }

  #sendSlice(
    batch: StoreCommit,
    commit: OpenCommit,
    writes: readonly StoreWrite[],
    prevOffset: number,
    nextOffset: number,
    positions: string,
    isLast: boolean,
  ): Promise<SliceReply> {
    const keys = [this.#key];
    const touched: { readonly state: 'old' | 'new'; readonly packed: Packed }[] = [];
    let main: Packed | undefined;
    let segments = '=';
    let expireBefore = '';
    if (this.#isWindow) {
      const sizeBefore = this.#segments.size;
      for (const [segment, changes] of this.#bySegment(writes)) {
        keys.push(segmentKey(this.#key, segment));
        const state = this.#segments.has(segment) ? 'old' : 'new';
        touched.push({ state, packed: commit.buffer.pack(changes, true) });
        this.#segments.set(segment, nextOffset);
      }
      let expiredCount = 0;
      // Windows go with the end of their commit: a slice before it must not take what a replay of it would write again.
      if (isLast && batch.expireBeforeMs > this.#expireBeforeMs) {
        this.#expireBeforeMs = batch.expireBeforeMs;
        expireBefore = String(batch.expireBeforeMs);
        for (const segment of this.#segments.keys()) {
          if ((segment + 1) * this.#segmentMs > batch.expireBeforeMs) continue;
          keys.push(segmentKey(this.#key, segment));
          this.#segments.delete(segment);
          expiredCount++;
        }
      }
      if (expiredCount > 0 || this.#segments.size !== sizeBefore) segments = joinSegments(this.#segments.keys());
    } else if (writes.length > 0) {
      main = commit.buffer.pack(writes, false);
    }
    if (nextOffset >= this.#buildingUntil) this.#buildingUntil = -1;
    const building = this.#buildingUntil < 0 ? '' : `building:${this.#buildingUntil}`;
    const fixed = [
      batch.epoch,
      this.#topicId,
      this.#incarnation,
      prevOffset,
      nextOffset,
      batch.nextOffset,
      batch.timestampMs,
      positions,
      building,
      segments,
      expireBefore,
      batch.streamTimeMs,
    ];
    this.#sentOffset = nextOffset;
    return this.#commits.send({
      keys,
      commit,
      args: () => [
        ...fixed,
        main === undefined ? '' : commit.buffer.slice(main),
        touched.length,
        ...touched.flatMap(({ state, packed }) => [state, commit.buffer.slice(packed)]),
      ],
    });
  }

  /** Windows that are gone already are not written again: a replay may bring them once more. */
  #bySegment(writes: readonly StoreWrite[]): Map<number, PackedWrite[]> {
    const segments = new Map<number, PackedWrite[]>();
    for (const write of writes) {
      if (write.startMs < this.#expireBeforeMs) continue;
      const segment = this.#segmentOf(write.startMs);
      const changes = segments.get(segment);
      if (changes === undefined) segments.set(segment, [write]);
      else changes.push(write);
    }
    return segments;
  }

  #segmentOf(startMs: number): number {
    return Math.floor(startMs / this.#segmentMs);
  }

  // ── Reading ──

  get(): StoredValue | null {
    assert.fail('a store in Redis is read by prefetch');
  }

  async prefetch(keys: readonly StoreKey[], windowStarts: readonly number[]): Promise<PrefetchAnswer> {
    let stale = '';
    // The first mismatch may be a commit that was overtaken: scripts that the server has forgotten are sent again, behind later
    // commands. Once those have settled a second one is real.
    for (let attempt = 0; attempt < 2; attempt++) {
      if (attempt > 0) await this.#commits.settled();
      const values: (StoredValue | null)[] = Array.from({ length: keys.length }, () => null);
      const windows: (StoreKey & StoredValue)[][] = windowStarts.map(() => []);
      const checks = this.#isWindow
        ? [
            this.#readMain([], values, keys),
            ...this.#readSegments(keys, values),
            ...this.#readWindows(windowStarts, windows),
          ]
        : chunks(keys.length).map(([from, until]) => this.#readMain(range(from, until), values, keys));
      const mismatches = (await Promise.all(checks)).filter((mismatch) => mismatch !== '');
      if (mismatches.length === 0) return { verdict: 'current', values, windows };
      stale = mismatches[0]!;
    }
    return { verdict: 'stale', reason: stale };
  }

  /** Reads entries of the main hash, by their places in `keys`. Gives back what is wrong, or ''. */
  async #readMain(
    places: readonly number[],
    values: (StoredValue | null)[],
    keys: readonly StoreKey[],
  ): Promise<string> {
    const expected = String(this.#sentOffset);
    const fields = places.map((place) => fieldOf(keys[place]!.key));
    const reply = await this.#read(this.#key, marks.offset, fields);
    for (let i = 0; i < places.length; i++) values[places[i]!] = valueOf(reply[i + 2] ?? null);
    return this.#mismatch(reply, expected);
  }

  #readSegments(keys: readonly StoreKey[], values: (StoredValue | null)[]): Promise<string>[] {
    const places = new Map<number, number[]>();
    for (const [place, { startMs }] of keys.entries()) {
      const segment = this.#segmentOf(startMs);
      if (startMs < this.#expireBeforeMs || !this.#segments.has(segment)) continue;
      const list = places.get(segment);
      if (list === undefined) places.set(segment, [place]);
      else list.push(place);
    }
    return [...places].flatMap(([segment, list]) =>
      chunks(list.length).map(async ([from, until]) => {
        const expected = String(this.#segments.get(segment));
        const some = list.slice(from, until);
        const fields = some.map((place) => windowFieldOf(keys[place]!.startMs, keys[place]!.key));
        const reply = await this.#read(segmentKey(this.#key, segment), marks.segmentOffset, fields);
        for (let i = 0; i < some.length; i++) values[some[i]!] = valueOf(reply[i + 2] ?? null);
        return this.#mismatch(reply, expected);
      }),
    );
  }

  #readWindows(starts: readonly number[], windows: (StoreKey & StoredValue)[][]): Promise<string>[] {
    const wanted = starts.filter((start) => start >= this.#expireBeforeMs);
    const segments = new Set(
      wanted.map((start) => this.#segmentOf(start)).filter((segment) => this.#segments.has(segment)),
    );
    const places = new Map(starts.map((start, place) => [start, place]));
    return [...segments].map(async (segment) => {
      const expected = String(this.#segments.get(segment));
      const flat = await this.#readWhole(segmentKey(this.#key, segment));
      let incarnation: Buffer | null = null;
      let offset: Buffer | null = null;
      for (let i = 0; i < flat.length; i += 2) {
        const field = flat[i]!;
        if (field.equals(marks.incarnation)) incarnation = flat[i + 1]!;
        else if (field.equals(marks.segmentOffset)) offset = flat[i + 1]!;
        else {
          const startMs = readMs(field, 0);
          const place = places.get(startMs);
          if (place === undefined || startMs < this.#expireBeforeMs) continue;
          windows[place]!.push({ startMs, key: field.subarray(8), ...valueOf(flat[i + 1]!)! });
        }
      }
      return this.#mismatch([incarnation, offset], expected);
    });
  }

  /** @throws {StoreStaleError} it was lost or taken over meanwhile */
  async scan(visit: (entry: StoreKey & StoredValue) => void): Promise<void> {
    await this.#commits.settled();
    if (!this.#isWindow) {
      await this.#scanHash(this.#key, marks.offset, this.#sentOffset, (field, value) => {
        const key = keyOf(field);
        if (key !== undefined) visit({ startMs: 0, key, ...value });
      });
      return;
    }
    for (const [segment, offset] of this.#segments) {
      await this.#scanHash(segmentKey(this.#key, segment), marks.segmentOffset, offset, (field, value) => {
        if (field.length < 8) return; // a mark
        const startMs = readMs(field, 0);
        if (startMs >= this.#expireBeforeMs) visit({ startMs, key: field.subarray(8), ...value });
      });
    }
  }

  /** HSCAN may tell a field twice, when the hash grows meanwhile: an entry visited again is the same entry. */
  async #scanHash(
    key: string,
    offsetMark: Buffer,
    expectedOffset: number,
    visit: (field: Buffer, value: StoredValue) => void,
  ): Promise<void> {
    let cursor = '0';
    do {
      const [next, flat] = await this.#persistently(() => this.#settings.redis.hscanBuffer(key, cursor, 'COUNT', 1000));
      for (let i = 0; i < flat.length; i += 2) {
        const field = flat[i]!;
        const isMark = field[0] === 0 && field[1] !== 0 && field.length === 2;
        if (!isMark) visit(field, valueOf(flat[i + 1]!)!);
      }
      cursor = next.toString();
    } while (cursor !== '0');
    // What vanished on the way is not told from what never was, except by the marks.
    const mismatch = this.#mismatch(await this.#read(key, offsetMark, []), String(expectedOffset));
    if (mismatch !== '') throw new StoreStaleError(key, mismatch);
  }

  #read(key: string, offsetMark: Buffer, fields: readonly Buffer[]): Promise<(Buffer | null)[]> {
    return this.#persistently(() => this.#settings.redis.hmgetBuffer(key, marks.incarnation, offsetMark, ...fields));
  }

  #readWhole(key: string): Promise<Buffer[]> {
    return this.#persistently(() => this.#settings.redis.callBuffer('HGETALL', key) as Promise<Buffer[]>);
  }

  #mismatch(reply: readonly (Buffer | null)[], expectedOffset: string): string {
    const incarnation = reply[0]?.toString();
    const offset = reply[1]?.toString();
    if (incarnation === undefined || offset === undefined) return 'its data is gone';
    if (incarnation !== this.#incarnation) return 'it was filled anew by another owner';
    return offset === expectedOffset ? '' : `it stands at ${offset}, its owner left it at ${expectedOffset}`;
  }

  // ── Ending ──

  close(): Promise<void> {
    this.#closing.abort();
    this.#commits.close();
    return Promise.resolve();
  }

  #persistently<T>(command: () => Promise<T>): Promise<T> {
    const { clock, logger } = this.#settings;
    return persistently(`The store ${this.#key}`, command, { clock, logger, signal: this.#closing.signal });
  }
}

const maxReadFields = 5000;

/** Where the slice of a commit ends that begins at `from`: it has one write at least. */
function endOfSlice(writes: readonly StoreWrite[], from: number): number {
  const limit = Math.min(from + maxFields, writes.length);
  let bytes = 0;
  for (let at = from; at < limit; at++) {
    const { key, value } = writes[at]!;
    bytes += key.length + (value?.length ?? 0);
    if (bytes > maxBytes && at > from) return at;
  }
  return limit;
}

function lost(reason: string): { readonly verdict: 'lost'; readonly reason: string } {
  return { verdict: 'lost', reason };
}

function valueOf(stored: Buffer | null): StoredValue | null {
  return stored === null ? null : { value: stored.subarray(8), timestampMs: readMs(stored, 0) };
}

/** At least one: the marks are read in any case. */
function chunks(count: number): (readonly [from: number, until: number])[] {
  const parts: (readonly [number, number])[] = [];
  let from = 0;
  do parts.push([from, Math.min(count, from + maxReadFields)]);
  while ((from += maxReadFields) < count);
  return parts;
}

function range(from: number, until: number): number[] {
  return Array.from({ length: until - from }, (_, i) => from + i);
}
