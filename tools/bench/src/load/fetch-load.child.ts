/** Fetches a topic from its start to its end, all partitions at once. Prints `{ seconds, bytes }`. */
import { apis, errorInfo, readBatchHeader } from '@millrace/protocol';
import { childOptions } from '../child.ts';
import { RawConnection } from './raw-connection.ts';

export interface FetchLoad {
  readonly address: string;
  readonly topic: string;
  readonly numPartitions: number;
  readonly connections: number;
}

const load = childOptions<FetchLoad>();
const connections = await Promise.all(Array.from({ length: load.connections }, () => RawConnection.open(load.address)));
const startedMs = performance.now();
const bytes = await Promise.all(
  connections.map((connection, index) => {
    const mine = Array.from({ length: load.numPartitions }, (_, partition) => partition);
    return readAll(
      connection,
      mine.filter((partition) => partition % load.connections === index),
    );
  }),
);
const seconds = (performance.now() - startedMs) / 1000;
console.log(JSON.stringify({ seconds, bytes: bytes.reduce((sum, count) => sum + count, 0) }));
for (const connection of connections) connection.close();

async function readAll(connection: RawConnection, partitions: readonly number[]): Promise<number> {
  const offsets = new Map(partitions.map((partition) => [partition, 0]));
  let total = 0;
  while (offsets.size > 0) {
    const { responses } = await connection.request(apis.fetch, 11, {
      replicaId: -1,
      maxWaitMs: 500,
      minBytes: 1,
      maxBytes: 8 << 20,
      sessionId: 0,
      sessionEpoch: -1,
      topics: [
        {
          topic: load.topic,
          partitions: [...offsets].map(([partition, fetchOffset]) => ({
            partition,
            fetchOffset,
            currentLeaderEpoch: -1,
            partitionMaxBytes: 4 << 20,
          })),
        },
      ],
    });
    for (const { partitions: answers } of responses) {
      for (const { partitionIndex, errorCode, highWatermark, records } of answers) {
        if (errorCode !== 0) throw new Error(`fetch failed: ${errorInfo(errorCode)?.name ?? errorCode}`);
        const data = records as Uint8Array | null;
        let offset = offsets.get(partitionIndex)!;
        let at = 0;
        while (data !== null && at + 61 <= data.length) {
          const header = readBatchHeader(data, at);
          if (at + header.sizeBytes > data.length) break;
          offset = header.baseOffset + header.lastOffsetDelta + 1;
          at += header.sizeBytes;
        }
        total += at;
        if (offset >= highWatermark) offsets.delete(partitionIndex);
        else offsets.set(partitionIndex, offset);
      }
    }
  }
  return total;
}
