/**
 * `@millrace/client/rx`: the client's Observables. A sub-path, since importing RxJS costs 105 ms, which those who use promises
 * and async iterables need not pay.
 */
import { asyncScheduler, distinctUntilChanged, map, Observable, timer, type SchedulerLike } from 'rxjs';
import { internalsOf, type Client } from '../client.ts';
import type { RecordsOptions } from '../consumer/consumer-options.ts';
import type { Consumer, PartitionLag } from '../consumer/consumer.ts';
import { readBatches } from '../consumer/read-records.ts';
import type { Position } from '../positions.ts';
import type { AnyTopic, RecordOf } from '../records.ts';

/**
 * The records of a topic as a cold Observable, with no group: `client.records` for RxJS. A fetch is pushed whole and the next
 * one waits for it, so nothing piles up. With `to: 'end'` it completes; unsubscribing, or aborting `signal`, stops reading.
 */
export function records$<T extends AnyTopic>(
  client: Client,
  topic: T,
  options: RecordsOptions = {},
): Observable<RecordOf<T>> {
  return new Observable((subscriber) => {
    const { cluster, own } = internalsOf(client);
    const unsubscribed = new AbortController();
    const signal = options.signal ? AbortSignal.any([options.signal, unsubscribed.signal]) : unsubscribed.signal;
    const read = async (): Promise<void> => {
      for await (const batch of readBatches<RecordOf<T> & Position>(cluster, topic, { ...options, signal }, own)) {
        for (const record of batch) {
          if (subscriber.closed) return;
          subscriber.next(record);
        }
      }
    };
    read().then(
      () => subscriber.complete(),
      (error: unknown) => subscriber.error(error),
    );
    return () => unsubscribed.abort();
  });
}

/** How far a consumer is behind, by partition, whenever it has changed: looked at every `periodMs` (default 1000). */
export function lag$(
  consumer: Consumer<unknown>,
  options: { readonly periodMs?: number | undefined; readonly scheduler?: SchedulerLike | undefined } = {},
): Observable<readonly PartitionLag[]> {
  return timer(0, options.periodMs ?? 1_000, options.scheduler ?? asyncScheduler).pipe(
    map(() => consumer.lag),
    distinctUntilChanged(isSameLag),
  );
}

function isSameLag(a: readonly PartitionLag[], b: readonly PartitionLag[]): boolean {
  return (
    a.length === b.length &&
    a.every((lag, i) => {
      const other = b[i]!;
      return lag.topic === other.topic && lag.partition === other.partition && lag.lagRecords === other.lagRecords;
    })
  );
}
