import { apis, errorInfo } from '@millrace/protocol';
import type { RawConnection } from './raw-connection.ts';

/** Makes a topic, and waits until its leaders take records (Apache Kafka answers before they do). */
export async function createTopic(connection: RawConnection, name: string, numPartitions: number): Promise<void> {
  const created = await connection.request(apis.createTopics, 5, {
    topics: [{ name, numPartitions, replicationFactor: 1, assignments: [], configs: [] }],
    timeoutMs: 10_000,
  });
  const errorCode = created.topics[0]!.errorCode;
  if (errorCode !== 0) throw new Error(`${name} was not created: ${errorInfo(errorCode)?.name ?? errorCode}`);
  for (;;) {
    const { topics } = await connection.request(apis.metadata, 9, { topics: [{ name }] });
    const partitions = topics[0]?.partitions ?? [];
    if (partitions.length === numPartitions && partitions.every((partition) => partition.errorCode === 0)) break;
  }
  // A leader that metadata names may not know it yet; it answers this when it has made its log.
  for (;;) {
    const { topics } = await connection.request(apis.listOffsets, 5, {
      replicaId: -1,
      isolationLevel: 0,
      topics: [
        {
          name,
          partitions: Array.from({ length: numPartitions }, (_, partitionIndex) => ({
            partitionIndex,
            currentLeaderEpoch: -1,
            timestamp: -1,
          })),
        },
      ],
    });
    if (topics[0]!.partitions.every((partition) => partition.errorCode === 0)) return;
  }
}
