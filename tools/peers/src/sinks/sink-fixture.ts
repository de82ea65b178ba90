import type { Sink, SinkBatch, SinkRecord, SinkTask, SinkWriter } from '@millrace/streams';
import { recordHeaders } from '@millrace/serde';

export function taskOf(epoch: number, overrides: Partial<SinkTask> = {}): SinkTask {
  const { signal } = new AbortController();
  return { applicationId: 'app', topic: 'orders', partition: 0, epoch, signal, ...overrides };
}

/** A record for each pair of offset and value, its key the value's first letter. */
export function batchOf<V>(
  firstOffset: number,
  lastOffset: number,
  records: readonly (readonly [offset: number, key: string, value: V])[],
): SinkBatch<string, V> {
  const results: SinkRecord<string, V>[] = [];
  for (const [offset, key, value] of records) {
    const ordinal = results.filter((other) => other.offset === offset).length;
    results.push({ key, value, timestampMs: 0, headers: recordHeaders(), offset, ordinal });
  }
  return { firstOffset, lastOffset, records: results };
}

/** What a run has shown. */
export interface FaultRun {
  readonly crashes: number;
  readonly zombieWritesRefused: number;
}

/**
 * Feeds a sink with inputs 0 … count − 1, one a source offset, as the runtime would: each owner asks where the target stands,
 * skips what it has, and writes batches of changing sizes. Owners crash before and after writes (a crash after a write and before
 * the commit of offsets is one whose successor begins earlier); some come back as zombies and write on.
 * @param random in [0, 1)
 */
export async function feedThroughFaults<V>(
  sink: Sink<string, V>,
  inputs: readonly (readonly [key: string, value: V])[],
  random: () => number,
): Promise<FaultRun> {
  let committed = 0; // offsets in Kafka
  let epoch = 1;
  let crashes = 0;
  let zombieWritesRefused = 0;
  const batchFrom = (writer: SinkWriter<string, V>, from: number, size: number): SinkBatch<string, V> => {
    const until = Math.min(inputs.length, from + size);
    const firstKept = Math.max(from, writer.nextOffset ?? 0);
    const rows: [number, string, V][] = [];
    for (let offset = firstKept; offset < until; offset++) rows.push([offset, ...inputs[offset]!]);
    return batchOf(firstKept, until - 1, rows);
  };
  let writer = await sink.open(taskOf(epoch));
  const zombies: SinkWriter<string, V>[] = [];
  while (committed < inputs.length) {
    let at = committed;
    let hasCrashed = false;
    while (at < inputs.length && !hasCrashed) {
      const size = 1 + Math.floor(random() * 7);
      const batch = batchFrom(writer, at, size);
      if (batch.records.length > 0) await writer.write(batch);
      at = Math.min(inputs.length, at + size);
      const dice = random();
      if (dice < 0.5) {
        await writer.flush();
        committed = at;
      } else if (dice < 0.6) hasCrashed = true;
    }
    if (!hasCrashed) continue;
    crashes++;
    zombies.push(writer);
    writer = await sink.open(taskOf(++epoch));
    if (random() < 0.5) {
      const zombie = zombies.at(-1)!;
      const batch = batchFrom(zombie, at, 3); // it goes on where it was
      try {
        if (batch.records.length > 0) await zombie.write(batch);
      } catch (error) {
        if ((error as { code?: unknown }).code !== 'FENCED') throw error;
        zombieWritesRefused++;
      }
    }
  }
  await writer.close();
  for (const zombie of zombies) await zombie.close();
  return { crashes, zombieWritesRefused };
}
