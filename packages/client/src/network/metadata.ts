import { errorCodes, type apis, type ResponseOf } from '@millrace/protocol';
import type { Address } from './addresses.ts';

export interface PartitionMetadata {
  readonly partition: number;
  /** Node id; −1: none at present. */
  readonly leader: number;
  readonly leaderEpoch: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
}

export interface TopicMetadata {
  readonly name: string;
  readonly topicId: string;
  readonly isInternal: boolean;
  /** By partition number. */
  readonly partitions: readonly PartitionMetadata[];
  readonly loadedAtMs: number;
}

/** What the cluster last said of itself. */
export class Metadata {
  readonly brokers: Map<number, Address> = new Map();
  readonly topics: Map<string, TopicMetadata> = new Map();
  /** Errors of topics that the last answer about them did not describe. */
  readonly topicErrors: Map<string, number> = new Map();
  clusterId = '';
  controllerId = -1;

  /** @param nowMs monotonic */
  update(answer: ResponseOf<typeof apis.metadata>, nowMs: number): void {
    this.brokers.clear();
    for (const { nodeId, host, port } of answer.brokers) this.brokers.set(nodeId, { host, port });
    this.clusterId = answer.clusterId ?? '';
    this.controllerId = answer.controllerId;
    for (const topic of answer.topics) {
      const name = topic.name ?? '';
      if (topic.errorCode !== errorCodes.NONE) {
        this.topicErrors.set(name, topic.errorCode);
        // A leader being elected is no reason to forget where the partitions were.
        if (topic.errorCode !== errorCodes.LEADER_NOT_AVAILABLE) this.topics.delete(name);
        continue;
      }
      this.topicErrors.delete(name);
      const known = this.topics.get(name);
      const partitions: PartitionMetadata[] = [];
      for (const p of topic.partitions) {
        partitions[p.partitionIndex] = newer(
          known?.topicId === topic.topicId ? known.partitions[p.partitionIndex] : undefined,
          {
            partition: p.partitionIndex,
            leader: p.leaderId,
            leaderEpoch: p.leaderEpoch,
            replicas: p.replicaNodes,
            isr: p.isrNodes,
          },
        );
      }
      this.topics.set(name, {
        name,
        topicId: topic.topicId,
        isInternal: topic.isInternal,
        partitions,
        loadedAtMs: nowMs,
      });
    }
  }

  leaderOf(topic: string, partition: number): PartitionMetadata | undefined {
    return this.topics.get(topic)?.partitions[partition];
  }
}

/** A broker that lags behind may tell of a leader that was (KIP-320). */
function newer(known: PartitionMetadata | undefined, told: PartitionMetadata): PartitionMetadata {
  return known !== undefined && told.leaderEpoch !== -1 && told.leaderEpoch < known.leaderEpoch ? known : told;
}
