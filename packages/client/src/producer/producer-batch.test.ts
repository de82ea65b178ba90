import { readBatchHeader, RecordBatchWriter, validateBatch } from '@millrace/protocol';
import { expect, it } from 'vitest';
import { addToSequence, ProducerBatch } from './producer-batch.ts';

it('goes on from 0 after the highest sequence number', () => {
  const highest = 2 ** 31 - 1;
  expect([addToSequence(highest - 1, 1), addToSequence(highest, 1), addToSequence(highest, 3)]).toEqual([
    highest,
    0,
    2,
  ]);
});

it('changes no bytes that it has given away: a socket may still have to send them', () => {
  const batch = new ProducerBatch('t', 0, 0, new RecordBatchWriter());
  batch.writer.append(1, null, Buffer.from('v'));
  batch.recordCount = 1;
  batch.stamp({ producerId: 7, epoch: 0 }, 5);
  const given = batch.encode('none', false, () => {});
  const before = Uint8Array.from(given);
  batch.stamp({ producerId: 7, epoch: 1 }, 0);
  const stamped = batch.encode('none', false, () => {});
  expect(Uint8Array.from(given)).toEqual(before);
  validateBatch(stamped, 0);
  expect(readBatchHeader(stamped, 0)).toMatchObject({ producerId: 7, producerEpoch: 1, baseSequence: 0 });
});
