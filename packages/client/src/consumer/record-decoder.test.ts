import { RecordBatchWriter, RecordReader } from '@millrace/protocol';
import { bytes, topic } from '@millrace/serde';
import { expect, it } from 'vitest';
import type { Position } from '../positions.ts';
import type { ConsumerRecord } from '../records.ts';
import { FetchedChunk } from './fetched-chunk.ts';
import { RecordDecoder } from './record-decoder.ts';

function chunkOf(batch: Uint8Array): FetchedChunk {
  return new FetchedChunk({
    topic: 't',
    partition: 0,
    fetchOffset: 0,
    highWatermark: 1,
    bytes: batch,
    abortedTransactions: null,
    isCrcChecked: true,
    reader: new RecordReader(),
  });
}

it('gives records headers of their own, which do not keep the fetched bytes', async () => {
  const writer = new RecordBatchWriter();
  writer.append(1, null, Buffer.from('value'), [['source', Buffer.from('web')]]);
  const batch = Buffer.from(writer.close({ baseOffset: 0, partitionLeaderEpoch: 0 })); // as a socket gives them
  const decoder = new RecordDecoder<ConsumerRecord<null, Uint8Array> & Position>(
    [topic('t', { value: bytes })],
    'fail',
  );
  const { records } = await decoder.take(chunkOf(batch), 10);
  batch.fill(0);
  const [, value] = [...records[0]!.headers][0]!;
  expect(Buffer.from(value as Uint8Array).toString()).toBe('web');
});

it('gives a function that decides on invalid records bytes of its own', async () => {
  const writer = new RecordBatchWriter();
  writer.append(1, Buffer.from('key'), Buffer.from('value'));
  const batch = Buffer.from(writer.close({ baseOffset: 0, partitionLeaderEpoch: 0 }));
  let seen: ConsumerRecord<Uint8Array | null, Uint8Array | null> | undefined;
  const refusing = {
    ...bytes,
    deserialize: (): Uint8Array => {
      throw new Error('no');
    },
  };
  const decoder = new RecordDecoder<Position>([topic('t', { key: bytes, value: refusing })], (_, record) => {
    seen = record;
    return 'skip';
  });
  await decoder.take(chunkOf(batch), 10);
  batch.fill(0);
  expect([seen!.key, seen!.value].map((part) => Buffer.from(part!).toString())).toEqual(['key', 'value']);
});
