import { expect, it } from 'vitest';
import { Metadata } from './metadata.ts';

const topicId = '00000000-0000-4000-8000-000000000001';

function answerOf(leaderId: number, leaderEpoch: number, id: string = topicId): Parameters<Metadata['update']>[0] {
  const at = { errorCode: 0, partitionIndex: 0, replicaNodes: [1, 2], isrNodes: [1, 2], offlineReplicas: [] };
  const partitions = [{ ...at, leaderId, leaderEpoch }];
  const topic = { errorCode: 0, name: 't', topicId: id, isInternal: false, partitions, topicAuthorizedOperations: 0 };
  return { throttleTimeMs: 0, brokers: [], clusterId: 'c', controllerId: 1, topics: [topic] } as never;
}

it('does not go back to a leader that a broker which lags behind still names', () => {
  const metadata = new Metadata();
  metadata.update(answerOf(2, 5), 0);
  metadata.update(answerOf(1, 4), 1);
  expect(metadata.leaderOf('t', 0)).toMatchObject({ leader: 2, leaderEpoch: 5 });
  metadata.update(answerOf(1, 6), 2);
  expect(metadata.leaderOf('t', 0)).toMatchObject({ leader: 1, leaderEpoch: 6 });
});

it('forgets the epochs of a topic that was made anew', () => {
  const metadata = new Metadata();
  metadata.update(answerOf(2, 5), 0);
  metadata.update(answerOf(1, 0, '00000000-0000-4000-8000-000000000002'), 1);
  expect(metadata.leaderOf('t', 0)).toMatchObject({ leader: 1, leaderEpoch: 0 });
});
