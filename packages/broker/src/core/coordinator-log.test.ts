import { apis } from '@millrace/protocol';
import { expect, it } from 'vitest';
import { TestBroker } from '../testing/memory-broker.ts';
import { partitionOfId } from './coordinator-log.ts';

it("puts ids where Kafka's hash puts them, the one whose hash has no absolute value too", () => {
  // Utils.abs(id.hashCode()) % 50, by Apache Kafka 4.4.0.
  expect(
    [
      '',
      'g',
      'readers',
      'payments-eos-0',
      'grüppe',
      'polygenelubricants',
      'a very long group id that overflows thirty-two bits',
    ].map((id) => partitionOfId(id, 50)),
  ).toEqual([0, 3, 28, 36, 12, 0, 44]);
});

it('is a compacted internal topic, made when the first group or transaction needs it', async () => {
  await using test = await TestBroker.open({
    config: { 'offsets.topic.num.partitions': 3, 'transaction.state.log.num.partitions': 2 },
  });
  const internalTopics = async (): Promise<(readonly [string | null, number])[]> =>
    (await test.client.request(apis.metadata, 9, { topics: null })).topics
      .filter((topic) => topic.isInternal)
      .map(({ name, partitions }) => [name, partitions.length] as const);
  expect(await internalTopics()).toEqual([]);
  await test.client.request(apis.findCoordinator, 4, { keyType: 0, coordinatorKeys: ['g'] });
  expect(await internalTopics()).toEqual([['__consumer_offsets', 3]]);
  await test.client.request(apis.findCoordinator, 4, { keyType: 1, coordinatorKeys: ['t'] });
  expect(new Map(await internalTopics())).toEqual(
    new Map([
      ['__consumer_offsets', 3],
      ['__transaction_state', 2],
    ]),
  );
  const { results } = await test.client.request(apis.describeConfigs, 4, {
    resources: ['__consumer_offsets', '__transaction_state'].map((resourceName) => ({
      resourceType: 2,
      resourceName,
      configurationKeys: ['cleanup.policy', 'segment.bytes'],
    })),
  });
  for (const { configs } of results) {
    expect(configs.map(({ name, value }) => [name, value])).toEqual([
      ['cleanup.policy', 'compact'],
      ['segment.bytes', '104857600'],
    ]);
  }
});
