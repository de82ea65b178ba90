import { apis, type ResponseOf } from '@millrace/protocol';
import { Broker } from '../broker.ts';
import type { BrokerOptions } from '../broker-options.ts';
import { RawClient } from './raw-client.ts';

type ProduceAnswer = ResponseOf<typeof apis.produce>['responses'][number]['partitionResponses'][number];
type FetchAnswer = ResponseOf<typeof apis.fetch>['responses'][number]['partitions'][number];

/** A broker in memory and a connection to it, for tests. */
export class TestBroker implements AsyncDisposable {
  readonly broker: Broker;
  readonly client: RawClient;

  private constructor(broker: Broker) {
    this.broker = broker;
    this.client = RawClient.dial(broker);
  }

  static async open(options: Omit<BrokerOptions, 'data'> & { readonly data?: string } = {}): Promise<TestBroker> {
    return new TestBroker(await Broker.open({ data: 'memory', ...options }));
  }

  /** Another connection to a broker: on one, requests wait for those before them. */
  static over(broker: Broker): TestBroker {
    return new TestBroker(broker);
  }

  async createTopic(
    name: string,
    options: { readonly partitions?: number; readonly configs?: Readonly<Record<string, string>> } = {},
  ): Promise<string> {
    const { topics } = await this.client.request(apis.createTopics, 7, {
      topics: [
        {
          name,
          numPartitions: options.partitions ?? 1,
          replicationFactor: 1,
          configs: Object.entries(options.configs ?? {}).map(([key, value]) => ({ name: key, value })),
        },
      ],
    });
    const [topic] = topics;
    if (topic === undefined || topic.errorCode !== 0) throw new Error(topic?.errorMessage ?? 'not created');
    return topic.topicId;
  }

  /** Sends one partition's records, `acks=all`. */
  async produce(
    topic: string,
    records: Uint8Array | null,
    options: {
      readonly partition?: number;
      readonly version?: number;
      readonly transactionalId?: string;
      readonly acks?: number;
    } = {},
  ): Promise<ProduceAnswer> {
    const { partition = 0, version = 9, acks = -1, transactionalId = null } = options;
    const { responses } = await this.client.request(apis.produce, version, {
      ...(version >= 3 ? { transactionalId } : {}),
      acks,
      timeoutMs: 1000,
      topicData: [{ name: topic, partitionData: [{ index: partition, records }] }],
    });
    return responses[0]!.partitionResponses[0]!;
  }

  /** Fetches one partition. */
  async fetch(
    topic: string,
    fetchOffset: number,
    options: {
      readonly partition?: number;
      readonly maxWaitMs?: number;
      readonly minBytes?: number;
      readonly maxBytes?: number;
      readonly partitionMaxBytes?: number;
      readonly isolationLevel?: number;
      readonly currentLeaderEpoch?: number;
      readonly lastFetchedEpoch?: number;
    } = {},
  ): Promise<FetchAnswer> {
    const { partition = 0, currentLeaderEpoch = -1, lastFetchedEpoch = -1, partitionMaxBytes = 1 << 20 } = options;
    const { responses } = await this.client.request(apis.fetch, 12, {
      maxWaitMs: options.maxWaitMs ?? 0,
      minBytes: options.minBytes ?? 1,
      maxBytes: options.maxBytes ?? 1 << 24,
      isolationLevel: options.isolationLevel ?? 0,
      topics: [
        {
          topic,
          partitions: [{ partition, fetchOffset, partitionMaxBytes, currentLeaderEpoch, lastFetchedEpoch }],
        },
      ],
    });
    return responses[0]!.partitions[0]!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.broker.close();
  }
}
