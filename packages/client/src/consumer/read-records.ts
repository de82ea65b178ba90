import type { ClusterClient } from '../network/cluster-client.ts';
import type { Position } from '../positions.ts';
import type { AnyTopic } from '../records.ts';
import { isMillraceError } from '@millrace/platform';
import { UnknownTopicError } from '../errors.ts';
import { EngineBytesConsumer } from './bytes-consumer.ts';
import type { IsolationLevel, RecordsOptions, StartPosition } from './consumer-options.ts';
import { listOffsets, offsetAt } from './list-offsets.ts';
import { matches, RecordDecoder } from './record-decoder.ts';

const pollMs = 30_000;
/** How soon a reader that is to stop looks whether it has got to the end without records. */
const endCheckMs = 500;
const maxBatchRecords = 10_000;

/**
 * Reads a topic with no group, a fetch at a time.
 * @param own for the client to close the reader with itself
 */
export async function* readBatches<R extends Position>(
  cluster: ClusterClient,
  topic: AnyTopic,
  options: RecordsOptions,
  own: (reader: EngineBytesConsumer) => EngineBytesConsumer,
): AsyncGenerator<readonly R[], void, undefined> {
  const isolationLevel = options.isolationLevel ?? 'read_committed';
  if (options.signal?.aborted) return;
  const partitions = await partitionsOf(cluster, topic, options.partitions);
  const starts = await startsOf(cluster, partitions, options.from ?? 'earliest', isolationLevel);
  const ends = options.to === 'end' ? await endsOf(cluster, partitions, isolationLevel) : undefined;
  const left = new Map<string, number>();
  if (ends !== undefined) for (const end of ends) left.set(keyOf(end), end.offset);
  const toRead = ends === undefined ? starts : starts.filter((start) => start.offset < left.get(keyOf(start))!);
  if (ends !== undefined) {
    const wanted = new Set(toRead.map(keyOf));
    for (const key of left.keys()) if (!wanted.has(key)) left.delete(key);
  }

  const consumer = own(new EngineBytesConsumer(cluster, { isolationLevel, autoOffsetReset: 'earliest' }));
  const stop = (): void => void consumer.close();
  options.signal?.addEventListener('abort', stop, { once: true });
  try {
    consumer.assign(toRead);
    const decoder = new RecordDecoder<R>([topic], options.onInvalid ?? 'fail');
    while (ends === undefined || left.size > 0) {
      const chunk = await consumer.poll(ends === undefined ? pollMs : endCheckMs);
      if (chunk === null) {
        // Where all up to the end was deleted meanwhile, no records bring the reader there.
        for (const { topic: name, partition } of toRead) {
          const place = { topic: name, partition };
          const end = left.get(keyOf(place));
          if (end !== undefined && (consumer.position(place) ?? 0) >= end) left.delete(keyOf(place));
        }
        continue;
      }
      const end = left.get(keyOf(chunk)) ?? Number.POSITIVE_INFINITY;
      await decoder.prepare(chunk.topic);
      for (let isExhausted = false; !isExhausted;) {
        const part = await decoder.take(chunk, maxBatchRecords);
        isExhausted = part.isExhausted;
        const records = part.nextOffset > end ? part.records.filter((record) => record.offset < end) : part.records;
        if (records.length > 0) yield records;
        if (part.error !== undefined) throw part.error;
      }
      if (chunk.nextOffset >= end) {
        left.delete(keyOf(chunk));
        consumer.pause([chunk]);
      }
    }
  } catch (error) {
    if (options.signal?.aborted && isMillraceError(error, 'CLOSED')) return;
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', stop);
    await consumer.close();
  }
}

async function partitionsOf(
  cluster: ClusterClient,
  topic: AnyTopic,
  wanted: readonly number[] | undefined,
): Promise<{ topic: string; partition: number }[]> {
  const topics =
    'name' in topic
      ? [await cluster.topic(topic.name)]
      : (await cluster.retrying(() => cluster.listTopics())).filter(
          ({ name, isInternal }) => !isInternal && matches(topic, name),
        );
  return topics.flatMap(({ name, partitions }) => {
    const missing = wanted?.find((partition) => partitions[partition] === undefined);
    if (missing !== undefined) throw new UnknownTopicError(name, missing);
    return (wanted ?? partitions.map(({ partition }) => partition)).map((partition) => ({ topic: name, partition }));
  });
}

async function startsOf(
  cluster: ClusterClient,
  partitions: readonly { topic: string; partition: number }[],
  from: StartPosition,
  isolationLevel: IsolationLevel,
): Promise<readonly Position[]> {
  if (from === 'earliest' || from === 'latest')
    return await offsetsAt(cluster, partitions, offsetAt[from], isolationLevel);
  if ('offsets' in from) {
    const earliest = await offsetsAt(cluster, partitions, offsetAt.earliest, isolationLevel);
    return earliest.map((start) => ({ ...start, offset: from.offsets[start.partition] ?? start.offset }));
  }
  const found = await offsetsAt(cluster, partitions, from.timestampMs, isolationLevel);
  if (found.every((start) => start.offset >= 0)) return found;
  // Nothing is as late as that: only what comes from now on is.
  const ends = await endsOf(cluster, partitions, isolationLevel);
  return found.map((start, i) => (start.offset >= 0 ? start : ends[i]!));
}

function endsOf(
  cluster: ClusterClient,
  partitions: readonly { topic: string; partition: number }[],
  isolationLevel: IsolationLevel,
): Promise<readonly Position[]> {
  return offsetsAt(cluster, partitions, offsetAt.latest, isolationLevel);
}

async function offsetsAt(
  cluster: ClusterClient,
  partitions: readonly { topic: string; partition: number }[],
  timestamp: number,
  isolationLevel: IsolationLevel,
): Promise<readonly Position[]> {
  return await listOffsets(
    cluster,
    partitions.map((place) => ({ ...place, timestamp })),
    isolationLevel,
  );
}

function keyOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${partition}/${topic}`;
}
