import { int64, string, topic } from '@millrace/serde';

/** Written by idempotent producers, read by the group and the pipeline; rolls often. */
export const plain = topic('plain', {
  key: string,
  value: string,
  numPartitions: 2,
  config: { 'segment.bytes': 16_384 },
});
export const transactional = topic('transactional', { key: string, value: string, numPartitions: 2 });
export const compacted = topic('compacted', {
  key: string,
  value: string,
  numPartitions: 1,
  config: { 'cleanup.policy': 'compact', 'segment.bytes': 4096, 'min.cleanable.dirty.ratio': 0.01 },
});
/** What the pipeline has counted of `plain` and `transactional`. */
export const counts = topic('counts', { key: string, value: int64, numPartitions: 2 });

export const topics = [plain, transactional, compacted, counts] as const;
