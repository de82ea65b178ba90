import { isMillraceError } from '@millrace/platform';
import { apis, errorCodes } from '@millrace/protocol';
import type { TopicPartition } from '../positions.ts';
import { UnknownTopicError } from '../errors.ts';
import { KafkaError } from '../kafka-error.ts';
import { Backoff } from '../network/backoff.ts';
import type { ClusterClient } from '../network/cluster-client.ts';

/** Special timestamps of ListOffsets. */
export const offsetAt = { latest: -1, earliest: -2 } as const;

export interface OffsetQuery extends TopicPartition {
  /** Milliseconds, or one of `offsetAt`. */
  readonly timestamp: number;
}

export interface FoundOffset extends TopicPartition {
  /** −1: no record is as late as the timestamp asked for. */
  readonly offset: number;
}

/**
 * Offsets by time or of the log's ends, from each partition's leader; leaders that moved are asked again.
 * @throws `UNKNOWN_TOPIC_OR_PARTITION`, or the first error that does not pass within the request timeout
 */
export async function listOffsets(
  cluster: ClusterClient,
  queries: readonly OffsetQuery[],
  isolationLevel: 'read_committed' | 'read_uncommitted',
  signal: AbortSignal = cluster.signal,
): Promise<readonly FoundOffset[]> {
  const { clock, random } = cluster.platform;
  const deadlineMs = clock.monotonic() + cluster.requestTimeoutMs;
  const backoff = new Backoff(random, 50, 1_000);
  const found = new Map<OffsetQuery, number>();
  for (;;) {
    const left = queries.filter((query) => !found.has(query));
    if (left.length === 0) return queries.map((query) => ({ ...place(query), offset: found.get(query)! }));
    const failure = await askLeaders(cluster, left, isolationLevel, found);
    if (failure === undefined) continue;
    const waitMs = backoff.nextMs();
    const mayPass = isMillraceError(failure) && failure.retriable;
    if (!mayPass || clock.monotonic() + waitMs > deadlineMs) throw failure;
    await cluster.pause(waitMs, signal);
    await cluster.refresh(new Set(left.map((query) => query.topic)));
  }
}

/** One round; gives back one of the errors, if there were any. */
async function askLeaders(
  cluster: ClusterClient,
  queries: readonly OffsetQuery[],
  isolationLevel: 'read_committed' | 'read_uncommitted',
  found: Map<OffsetQuery, number>,
): Promise<Error | undefined> {
  const byLeader = new Map<number, OffsetQuery[]>();
  for (const query of queries) {
    const topic = await cluster.topic(query.topic);
    if (query.partition >= topic.partitions.length) throw new UnknownTopicError(query.topic, query.partition);
    const leader = cluster.leaderOf(query.topic, query.partition)?.leader ?? -1;
    const group = byLeader.get(leader);
    if (group === undefined) byLeader.set(leader, [query]);
    else group.push(query);
  }
  const outcomes = await Promise.all(
    [...byLeader].map(([leader, group]) =>
      askLeader(cluster, leader, group, isolationLevel, found).catch((error: Error) => error),
    ),
  );
  const failures = outcomes.filter((outcome) => outcome !== undefined);
  return failures.find((error) => !(isMillraceError(error) && error.retriable)) ?? failures[0];
}

async function askLeader(
  cluster: ClusterClient,
  leader: number,
  queries: readonly OffsetQuery[],
  isolationLevel: 'read_committed' | 'read_uncommitted',
  found: Map<OffsetQuery, number>,
): Promise<Error | undefined> {
  const { topic, partition } = queries[0]!;
  if (leader === -1) return new KafkaError(errorCodes.LEADER_NOT_AVAILABLE, `ListOffsets of ${topic}-${partition}`);
  const connection = await cluster.connections.to(leader);
  const topics = groupBy(queries);
  const answer = await connection.request(apis.listOffsets, {
    replicaId: -1,
    isolationLevel: isolationLevel === 'read_committed' ? 1 : 0,
    topics: [...topics].map(([name, ofTopic]) => ({
      name,
      partitions: ofTopic.map((query) => ({ partitionIndex: query.partition, timestamp: query.timestamp })),
    })),
  });
  let failure: Error | undefined;
  for (const answered of answer.topics) {
    for (const { partitionIndex, errorCode, offset } of answered.partitions) {
      const query = topics.get(answered.name)?.find((q) => q.partition === partitionIndex);
      if (query === undefined) continue;
      if (errorCode === errorCodes.NONE) found.set(query, offset);
      else {
        failure ??= new KafkaError(errorCode, `ListOffsets of ${answered.name}-${partitionIndex}`, {
          context: place(query),
        });
      }
    }
  }
  return failure;
}

function groupBy(queries: readonly OffsetQuery[]): Map<string, OffsetQuery[]> {
  const topics = new Map<string, OffsetQuery[]>();
  for (const query of queries) {
    const ofTopic = topics.get(query.topic);
    if (ofTopic === undefined) topics.set(query.topic, [query]);
    else ofTopic.push(query);
  }
  return topics;
}

function place({ topic, partition }: TopicPartition): { topic: string; partition: number } {
  return { topic, partition };
}
