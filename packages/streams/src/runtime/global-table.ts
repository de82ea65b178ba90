import type { FetchedRecords } from '@millrace/client/bytes';
import { decode, recordHeaders, type SerdeContext } from '@millrace/serde';
import { StoreCorruptError } from '../errors.ts';
import type { GlobalTablePlan } from '../plan/plan.ts';
import type { GlobalStore, RecordFailure } from '../task/ports.ts';
import type { ChangelogReader } from './changelog-reader.ts';
import type { StreamsCluster } from './cluster.ts';
import type { RestoreProgress } from './restore.ts';

interface Row {
  readonly key: unknown;
  readonly value: unknown;
}

/** A topic as a table that is whole on this instance: read from its first record, and followed. */
export class GlobalTable implements GlobalStore {
  readonly plan: GlobalTablePlan;
  readonly #rows = new Map<string, Row>();
  readonly #keyContext: SerdeContext;
  readonly #valueContext: SerdeContext;
  readonly #onFailure: (failure: RecordFailure) => void;

  constructor(plan: GlobalTablePlan, onFailure: (failure: RecordFailure) => void) {
    this.plan = plan;
    this.#onFailure = onFailure;
    const headers = recordHeaders();
    this.#keyContext = { topic: plan.topic, part: 'key', headers };
    this.#valueContext = { topic: plan.topic, part: 'value', headers };
  }

  get size(): number {
    return this.#rows.size;
  }

  get(key: unknown): unknown {
    if (key === null || key === undefined) return undefined;
    return this.#rows.get(idOf(this.plan.key.serialize(key, this.#keyContext)))?.value;
  }

  /** In the order of the encoded keys. */
  *entries(): Iterable<readonly [unknown, unknown]> {
    for (const id of [...this.#rows.keys()].sort()) {
      const row = this.#rows.get(id);
      if (row !== undefined) yield [row.key, row.value];
    }
  }

  /** Resolves when all that the topic held at the start is read; then goes on following it. */
  async open(
    cluster: StreamsCluster,
    reader: ChangelogReader,
    monotonic: () => number,
    onProgress: (progress: RestoreProgress) => void,
  ): Promise<void> {
    const { topic, store } = this.plan;
    const [starts, ends] = await Promise.all([cluster.earliestOffsets(topic), cluster.endOffsets(topic)]);
    await Promise.all(
      [...ends].map(async ([partition, untilOffset]) => {
        const fromOffset = starts.get(partition) ?? 0;
        const startedMs = monotonic();
        const totalRecords = untilOffset - fromOffset;
        await reader.replay({
          topic,
          partition,
          fromOffset,
          untilOffset,
          isFollowing: true,
          apply: (fetched) => {
            this.#apply(fetched);
            if (fetched.firstOffset >= untilOffset) return;
            const restoredRecords = Math.min(totalRecords, fetched.nextOffset - fromOffset);
            const seconds = Math.max(0.001, (monotonic() - startedMs) / 1000);
            const recordsPerSecond = Math.round(restoredRecords / seconds);
            onProgress({ store, partition, restoredRecords, totalRecords, recordsPerSecond });
          },
        });
      }),
    );
  }

  #apply(fetched: FetchedRecords): void {
    const { topic, partition } = fetched;
    fetched.forEach(({ key, value, offset, timestampMs }) => {
      if (key === null) return;
      try {
        const id = idOf(key);
        if (value === null) this.#rows.delete(id);
        else {
          this.#rows.set(id, {
            key: decode(this.plan.key, key, this.#keyContext),
            value: decode(this.plan.value, value, this.#valueContext),
          });
        }
      } catch (error) {
        const { store, onInvalid } = this.plan;
        if (onInvalid !== 'skip') {
          throw new StoreCorruptError(store, `the record ${topic}-${partition}@${offset} cannot be decoded`, error);
        }
        const source = { topic, partition, offset, timestampMs };
        this.#onFailure({ node: store, error, outcome: 'skipped', source });
      }
    });
  }
}

function idOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
