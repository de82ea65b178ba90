import { apis, errorCodes, type ApiSchema, type RequestInput } from '@millrace/protocol';
import { expect, it } from 'vitest';
import { batchOf } from '../testing/batches.ts';
import { TestBroker } from '../testing/memory-broker.ts';

/**
 * Every version of every API that is advertised, with a request that succeeds: answers that a version cannot carry show here.
 * Bodies are Kafka's defaults plus what is named; `v` is the version.
 */
interface Case {
  readonly api: ApiSchema;
  /** The request; `topicId` is that of `t`. */
  readonly body: (v: number, topicId: string) => Record<string, unknown>;
  /** Errors the case is expected to answer; default: none. */
  readonly errors?: readonly number[];
}

const topicV = (v: number, topicId: string): Record<string, unknown> => (v >= 13 ? { topicId } : { topic: 't' });

const cases: readonly Case[] = [
  { api: apis.apiVersions, body: (v) => (v >= 3 ? { clientSoftwareName: 'sweep', clientSoftwareVersion: '1' } : {}) },
  { api: apis.metadata, body: () => ({ topics: [{ name: 't' }] }) },
  {
    api: apis.produce,
    body: () => ({
      acks: -1,
      timeoutMs: 1000,
      topicData: [{ name: 't', partitionData: [{ index: 0, records: batchOf(['a', 'b']) }] }],
    }),
  },
  {
    api: apis.fetch,
    body: (v, topicId) => ({
      maxWaitMs: 0,
      minBytes: 1,
      maxBytes: 1 << 20,
      ...(v >= 4 ? { isolationLevel: 1 } : {}),
      topics: [{ ...topicV(v, topicId), partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20 }] }],
    }),
  },
  ...[-1, -2, 0].map((timestamp): Case => ({
    api: apis.listOffsets,
    body: (v) => ({
      replicaId: -1,
      ...(v >= 2 ? { isolationLevel: 1 } : {}),
      topics: [{ name: 't', partitions: [{ partitionIndex: 0, timestamp }] }],
    }),
  })),
  {
    api: apis.offsetForLeaderEpoch,
    body: () => ({ replicaId: -1, topics: [{ topic: 't', partitions: [{ partition: 0, leaderEpoch: 0 }] }] }),
  },
  {
    api: apis.createTopics,
    body: (v) => ({ topics: [{ name: `created-${v}`, numPartitions: 1, replicationFactor: 1 }], timeoutMs: 1000 }),
  },
  {
    api: apis.createPartitions,
    body: (v) => ({ topics: [{ name: 'grown', count: 2 + v, assignments: null }], timeoutMs: 1000 }),
  },
  {
    api: apis.deleteTopics,
    body: (v) => (v >= 6 ? { topics: [{ name: `created-${v}` }] } : { topicNames: [`created-${v}`] }),
    errors: [errorCodes.NONE, errorCodes.UNKNOWN_TOPIC_OR_PARTITION],
  },
  {
    api: apis.deleteRecords,
    body: () => ({ topics: [{ name: 't', partitions: [{ partitionIndex: 0, offset: 0 }] }], timeoutMs: 1000 }),
  },
  { api: apis.describeConfigs, body: () => ({ resources: [{ resourceType: 2, resourceName: 't' }] }) },
  {
    api: apis.alterConfigs,
    body: () => ({
      resources: [{ resourceType: 2, resourceName: 't', configs: [{ name: 'retention.ms', value: '-1' }] }],
    }),
  },
  {
    api: apis.incrementalAlterConfigs,
    body: () => ({
      resources: [
        { resourceType: 2, resourceName: 't', configs: [{ name: 'retention.ms', configOperation: 0, value: '-1' }] },
      ],
    }),
  },
  { api: apis.describeCluster, body: () => ({}) },
  {
    api: apis.findCoordinator,
    body: (v) => ({ ...(v >= 1 ? { keyType: 0 } : {}), ...(v >= 4 ? { coordinatorKeys: ['g'] } : { key: 'g' }) }),
  },
  {
    api: apis.joinGroup,
    body: (v) => ({
      groupId: `join-${v}`,
      sessionTimeoutMs: 10_000,
      ...(v >= 1 ? { rebalanceTimeoutMs: 10_000 } : {}),
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: new Uint8Array(4) }],
    }),
    errors: [errorCodes.NONE, errorCodes.MEMBER_ID_REQUIRED],
  },
  {
    api: apis.syncGroup,
    body: (v) => ({
      groupId: 'nobody',
      generationId: 1,
      memberId: 'x',
      ...(v >= 5 ? { protocolType: 'consumer', protocolName: 'range' } : {}),
    }),
    errors: [errorCodes.UNKNOWN_MEMBER_ID],
  },
  {
    api: apis.heartbeat,
    body: () => ({ groupId: 'nobody', generationId: 1, memberId: 'x' }),
    errors: [errorCodes.UNKNOWN_MEMBER_ID],
  },
  {
    api: apis.leaveGroup,
    body: (v) => ({ groupId: 'nobody', ...(v >= 3 ? { members: [{ memberId: 'x' }] } : { memberId: 'x' }) }),
    errors: [errorCodes.NONE, errorCodes.UNKNOWN_MEMBER_ID],
  },
  {
    api: apis.offsetCommit,
    body: () => ({
      groupId: 'simple',
      topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: 'm' }] }],
    }),
  },
  {
    api: apis.offsetFetch,
    body: (v) =>
      v >= 8
        ? { groups: [{ groupId: 'simple', topics: [{ name: 't', partitionIndexes: [0] }] }] }
        : { groupId: 'simple', topics: [{ name: 't', partitionIndexes: [0] }] },
  },
  {
    api: apis.offsetDelete,
    body: () => ({ groupId: 'simple', topics: [{ name: 't', partitions: [{ partitionIndex: 0 }] }] }),
  },
  { api: apis.describeGroups, body: () => ({ groups: ['simple'] }) },
  { api: apis.listGroups, body: () => ({}) },
  { api: apis.deleteGroups, body: () => ({ groupsNames: ['no-such-group'] }), errors: [errorCodes.GROUP_ID_NOT_FOUND] },
  { api: apis.initProducerId, body: (v) => ({ transactionalId: `tx-${v}`, transactionTimeoutMs: 10_000 }) },
  {
    api: apis.addPartitionsToTxn,
    body: (v) =>
      v >= 4
        ? {
            transactions: [
              { transactionalId: 'x', producerId: 1, producerEpoch: 0, topics: [{ name: 't', partitions: [0] }] },
            ],
          }
        : {
            v3AndBelowTransactionalId: 'x',
            v3AndBelowProducerId: 1,
            v3AndBelowProducerEpoch: 0,
            v3AndBelowTopics: [{ name: 't', partitions: [0] }],
          },
    errors: [errorCodes.NONE, errorCodes.INVALID_PRODUCER_ID_MAPPING],
  },
  {
    api: apis.addOffsetsToTxn,
    body: () => ({ transactionalId: 'x', producerId: 1, producerEpoch: 0, groupId: 'g' }),
    errors: [errorCodes.INVALID_PRODUCER_ID_MAPPING],
  },
  {
    api: apis.txnOffsetCommit,
    body: () => ({
      transactionalId: 'x',
      groupId: 'g',
      producerId: 1,
      producerEpoch: 0,
      topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 1 }] }],
    }),
    errors: [errorCodes.INVALID_TXN_STATE, errorCodes.TRANSACTION_ABORTABLE],
  },
  {
    api: apis.endTxn,
    body: () => ({ transactionalId: 'x', producerId: 1, producerEpoch: 0, committed: true }),
    errors: [errorCodes.INVALID_PRODUCER_ID_MAPPING],
  },
];

it('answers every version it advertises', async () => {
  await using test = await TestBroker.open();
  const topicId = await test.createTopic('t');
  await test.createTopic('grown');
  await test.produce('t', batchOf([{ key: 'k', value: 'v', timestampMs: 1 }]));
  const { apiKeys } = await test.client.request(apis.apiVersions, 0, {});
  const failures: string[] = [];
  for (const { api, body, errors = [errorCodes.NONE] } of cases) {
    const { minVersion, maxVersion } = apiKeys.find(({ apiKey }) => apiKey === api.key)!;
    for (let v = minVersion; v <= maxVersion; v++) {
      // Record batches (magic 2) came with version 3.
      if (api === apis.produce && v < 3) continue;
      try {
        const answer = await test.client.request(api, v, body(v, topicId) as RequestInput<ApiSchema>);
        const unexpected = errorsIn(answer).filter((code) => !errors.includes(code) && code !== errorCodes.NONE);
        if (unexpected.length > 0) failures.push(`${api.name} v${v}: error ${unexpected.join()}`);
      } catch (error) {
        failures.push(`${api.name} v${v}: ${String(error)}`);
        return expect(failures, 'the connection is gone').toEqual([]);
      }
    }
  }
  expect(failures).toEqual([]);
  expect(apiKeys.map(({ apiKey }) => apiKey).toSorted((a, b) => a - b)).toEqual(
    [...new Set(cases.map(({ api }) => api.key))].toSorted((a, b) => a - b),
  );
});

/** Error codes anywhere in an answer. */
function errorsIn(value: unknown): number[] {
  if (Array.isArray(value)) return value.flatMap(errorsIn);
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  return Object.entries(value).flatMap(([name, field]) =>
    /errorCode$/i.test(name) && typeof field === 'number' ? [field] : errorsIn(field),
  );
}
