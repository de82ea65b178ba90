/** Produces batches made before, as fast as they are acknowledged (acks=all). Prints `{ seconds, bytes, batches }`. */
import { apis, decodeResponse, encodeRequest, RecordBatchWriter } from '@millrace/protocol';
import { childOptions } from '../child.ts';
import { RawConnection } from './raw-connection.ts';
import { createTopic } from './topic.ts';

export interface ProduceLoad {
  readonly address: string;
  readonly topic: string;
  readonly numPartitions: number;
  readonly connections: number;
  /** Requests under way on each connection. */
  readonly inFlight: number;
  /** Size of a batch; its records are of 1 KiB, or one smaller record. */
  readonly batchBytes: number;
  /** Batches in a request, each for another partition. */
  readonly batchesPerRequest: number;
  readonly totalBatches: number;
}

const load = childOptions<ProduceLoad>();
const connections = await Promise.all(Array.from({ length: load.connections }, () => RawConnection.open(load.address)));
await createTopic(connections[0]!, load.topic, load.numPartitions);

const batch = makeBatch(load.batchBytes);
const requestCount = Math.ceil(load.totalBatches / load.batchesPerRequest);
let sent = 0;
let answered = 0;
const startedMs = performance.now();
await new Promise<void>((resolve, reject) => {
  for (const [index, connection] of connections.entries()) {
    for (let i = 0; i < load.inFlight; i++) sendNext(index, connection);
  }
  function sendNext(index: number, connection: RawConnection): void {
    if (sent === requestCount) return;
    const first = (sent++ * load.batchesPerRequest + index) % load.numPartitions;
    const { parts } = encodeRequest(
      apis.produce,
      9,
      { correlationId: sent, clientId: 'bench' },
      {
        acks: -1,
        timeoutMs: 30_000,
        topicData: [
          {
            name: load.topic,
            partitionData: Array.from({ length: load.batchesPerRequest }, (_, i) => ({
              index: (first + i) % load.numPartitions,
              records: batch,
            })),
          },
        ],
      },
    );
    connection.sendParts(parts, (frame) => {
      // Every answer is looked at: a figure made of refusals would be a fast one.
      for (const { partitionResponses } of decodeResponse(apis.produce, 9, frame).responses) {
        for (const { errorCode } of partitionResponses) {
          if (errorCode !== 0) return reject(new Error(`produce failed with error ${errorCode}`));
        }
      }
      if (++answered === requestCount) resolve();
      else sendNext(index, connection);
    });
  }
});
const seconds = (performance.now() - startedMs) / 1000;
const batches = requestCount * load.batchesPerRequest;
console.log(JSON.stringify({ seconds, batches, bytes: batches * batch.length }));
for (const connection of connections) connection.close();

function makeBatch(batchBytes: number): Uint8Array {
  const writer = new RecordBatchWriter();
  const recordBytes = Math.min(1024, batchBytes - 80);
  const value = Buffer.alloc(recordBytes, 'millrace ');
  do writer.append(Date.now(), null, value);
  while (writer.sizeBytes + recordBytes + 16 <= batchBytes);
  return writer.close({});
}
