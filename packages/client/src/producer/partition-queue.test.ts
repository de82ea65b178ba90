import { RecordBatchWriter } from '@millrace/protocol';
import { expect, it } from 'vitest';
import { PartitionQueue } from './partition-queue.ts';
import { ProducerBatch } from './producer-batch.ts';

const leader = 1;
const first = { producerId: 7, epoch: 0 };
const second = { producerId: 7, epoch: 1 };

function add(queue: PartitionQueue): ProducerBatch {
  const batch = new ProducerBatch('t', 0, 0, new RecordBatchWriter());
  batch.writer.append(1, null, Buffer.from('v'));
  batch.recordCount = 1;
  queue.sealed.push(batch);
  return batch;
}

it('sends nothing under a new epoch while something of the old one is on its way', () => {
  const queue = new PartitionQueue('t', 0, 5);
  const take = (identity: typeof first): ProducerBatch | undefined => queue.take(leader, 0, identity, () => true);
  const [a, b, c] = [add(queue), add(queue), add(queue)];
  expect(take(first)).toBe(a);
  queue.acknowledged(a!, 0);
  expect(take(first)).toBe(b);
  expect(take(second)).toBeUndefined();
  queue.acknowledged(b!, 1);
  expect(take(second)).toBe(c);
  expect(c).toMatchObject({ identity: second, baseSequence: 0 });
});
