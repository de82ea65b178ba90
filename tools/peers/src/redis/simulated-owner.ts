import assert from 'node:assert/strict';
import type { SeededRandom } from '@millrace/platform/simulated';
import type { BackendStore, StoreKey, StoreWrite } from '@millrace/streams/state';
import type { SimulatedLog } from './simulated-log.ts';
import { claimOf } from './store-fixture.ts';

/** An input: adds one to the count of its key. Every seventh count is a deletion, so that tombstones take part. */
export interface Input {
  readonly key: string;
  readonly startMs: number;
}

export function nameOf({ startMs, key }: Input): string {
  return `${startMs}/${key}`;
}

/** What the count becomes, and the output that tells it. */
export function countOn(before: number | null): { readonly after: number | null; readonly output: number } {
  const count = (before ?? 0) + 1;
  return { after: count % 7 === 0 ? null : count, output: count };
}

export class Replaced extends Error {}

/**
 * Does with a store what the engine does, and no more: no cache at all, so every batch reads Redis. Writes that are not
 * acknowledged are read from an overlay; commits are sent without waiting; a stale read is resynchronised before it is used.
 */
export class SimulatedOwner {
  readonly #log: SimulatedLog;
  readonly #store: BackendStore;
  readonly #random: SeededRandom;
  #epoch = -1;
  #nextOffset = 0;
  readonly #overlay = new Map<string, { readonly value: string | null; readonly sequence: number }>();
  #sequence = 0;
  /** A commit was answered with a gap or a loss. */
  #mustResync = false;
  #isReplaced = false;
  staleReads = 0;
  resets = 0;

  constructor(log: SimulatedLog, store: BackendStore, random: SeededRandom) {
    this.#log = log;
    this.#store = store;
    this.#random = random;
  }

  async start(): Promise<void> {
    this.#epoch = this.#log.takeOver();
    await this.#resync();
  }

  /**
   * Processes a batch in one transaction.
   * @param dieAfterCommit the owner dies between the transaction and the script
   * @throws {Replaced}
   */
  async process(batch: readonly Input[], inputOffset: number, dieAfterCommit: boolean): Promise<void> {
    const rows = await this.#read(batch);
    const outputs: string[] = [];
    const changed = new Map<string, StoreWrite>();
    for (const input of batch) {
      const name = nameOf(input);
      const before = rows.get(name) ?? null;
      const { after, output } = countOn(before === null ? null : Number(before));
      const value = after === null ? null : String(after);
      rows.set(name, value);
      outputs.push(`${name}=${output}`);
      const key = Buffer.from(input.key);
      changed.set(name, {
        startMs: input.startMs,
        key,
        value: value === null ? null : Buffer.from(value),
        timestampMs: 0,
      });
    }
    const writes = [...changed.values()];
    const committed = this.#log.commit(this.#epoch, writes, outputs, inputOffset);
    if (committed === undefined) throw new Replaced();
    if (dieAfterCommit) return;
    const sequence = this.#sequence++;
    for (const name of changed.keys()) this.#overlay.set(name, { value: rows.get(name)!, sequence });
    const prevOffset = this.#nextOffset;
    this.#nextOffset = committed.nextOffset;
    void this.#store
      .commit({
        epoch: this.#epoch,
        prevOffset,
        nextOffset: committed.nextOffset,
        writes,
        offsets: writes.map((_, i) => committed.firstOffset + i),
        expireBeforeMs: -Infinity,
        positions: [{ topic: 'inputs', partition: 0, offset: inputOffset }],
        timestampMs: 0,
        streamTimeMs: inputOffset,
      })
      .then(
        ({ verdict }) => {
          if (verdict === 'fenced') this.#isReplaced = true;
          if (verdict === 'gap' || verdict === 'lost') this.#mustResync = true;
          if (verdict !== 'applied' && verdict !== 'replay') return;
          for (const [name, entry] of this.#overlay) if (entry.sequence === sequence) this.#overlay.delete(name);
        },
        () => undefined, // closed, as when its process dies
      );
  }

  /** Brings Redis to the end of the log. */
  async #resync(): Promise<void> {
    for (;;) {
      this.#mustResync = false;
      const endOffset = this.#log.endOffset;
      const answer = await this.#store.claim(claimOf(this.#epoch, { changelogEndOffset: endOffset }));
      if (answer.verdict === 'fenced') throw new Replaced();
      if (answer.verdict === 'lost') {
        this.resets++;
        await this.#store.reset(this.#epoch).catch((error: unknown) => {
          if ((error as { code?: unknown }).code === 'FENCED') throw new Replaced();
          throw error;
        });
      }
      const from = answer.verdict === 'claimed' ? answer.nextOffset : 0;
      const replay = [...this.#log.replay(this.#epoch, from, endOffset, 1 + this.#random.below(50))];
      const answers = await Promise.all(replay.map((commit) => this.#store.commit(commit)));
      if (answers.some(({ verdict }) => verdict === 'fenced')) throw new Replaced();
      if (answers.some(({ verdict }) => verdict === 'gap' || verdict === 'lost')) continue; // struck again meanwhile
      this.#nextOffset = endOffset;
      this.#overlay.clear();
      return;
    }
  }

  async #read(batch: readonly Input[]): Promise<Map<string, string | null>> {
    for (let attempt = 0; ; attempt++) {
      assert(attempt < 50, 'a resync makes reads current');
      if (this.#isReplaced) throw new Replaced();
      if (this.#mustResync) await this.#resync();
      const rows = new Map<string, string | null>();
      const keys: (StoreKey & { readonly name: string })[] = [];
      for (const input of batch) {
        const name = nameOf(input);
        const unacknowledged = this.#overlay.get(name);
        if (unacknowledged !== undefined) rows.set(name, unacknowledged.value);
        else if (!keys.some((key) => key.name === name)) {
          keys.push({ name, startMs: input.startMs, key: Buffer.from(input.key) });
        }
      }
      const answer = await this.#store.prefetch(keys, []);
      if (answer.verdict === 'current') {
        for (const [i, stored] of answer.values.entries()) {
          rows.set(keys[i]!.name, stored === null ? null : Buffer.from(stored.value).toString());
        }
        return rows;
      }
      this.staleReads++;
      await this.#resync();
    }
  }
}
