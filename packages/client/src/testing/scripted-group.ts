import { nodePlatform } from '@millrace/platform';
import { SeededRandom, VirtualClock } from '@millrace/platform/simulated';
import { apis, errorCodes, RecordBatchWriter, type ResponseInput } from '@millrace/protocol';
import { Client } from '../client.ts';
import type { ClientOptions } from '../cluster-options.ts';
import { encodeAssignment } from '../consumer/consumer-protocol.ts';
import { ScriptedBroker } from './scripted-broker.ts';

type FetchAnswer = Omit<
  NonNullable<NonNullable<ResponseInput<typeof apis.fetch>['responses']>[number]['partitions']>[number],
  'partitionIndex'
>;

/**
 * The group `g` of a scripted broker, as one of its members sees it: another one leads. The test says when the group rebalances
 * and what the member is given of topic `t`.
 */
export class ScriptedGroup {
  readonly clock: VirtualClock = new VirtualClock(1_000_000);
  readonly broker: ScriptedBroker = new ScriptedBroker(this.clock);
  generationId = 0;
  isRebalancing = false;
  /** The member's partitions of `t`, by generation. */
  partitionsIn: (generationId: number) => readonly number[] = () => [0];
  /** What a fetch of a partition at an offset is answered; undefined: there is nothing. */
  fetched: (partition: number, offset: number) => FetchAnswer | undefined = () => undefined;
  /** `generation: partition@offset`. */
  readonly committed: string[] = [];
  client!: Client;

  constructor(partitionCount: number = 1) {
    const { broker } = this;
    broker.topics.set('t', partitionCount);
    broker.on(apis.joinGroup, ({ protocols }) => {
      this.generationId++;
      this.isRebalancing = false;
      const protocolName = protocols[0]!.name;
      return { generationId: this.generationId, protocolType: 'consumer', protocolName, leader: 'b', memberId: 'a' };
    });
    broker.on(apis.syncGroup, () => {
      const partitions = this.partitionsIn(this.generationId);
      return { assignment: encodeAssignment(partitions.map((partition) => ({ topic: 't', partition }))) };
    });
    broker.on(apis.heartbeat, ({ generationId }) => {
      if (this.isRebalancing) return { errorCode: errorCodes.REBALANCE_IN_PROGRESS };
      return { errorCode: generationId === this.generationId ? errorCodes.NONE : errorCodes.ILLEGAL_GENERATION };
    });
    broker.on(apis.offsetFetch, (request) => ({
      groups: request.groups.map(({ groupId, topics }) => ({
        groupId,
        topics: (topics ?? []).map(({ name, partitionIndexes }) => ({
          name,
          partitions: partitionIndexes.map((partitionIndex) => ({ partitionIndex, committedOffset: 0 })),
        })),
      })),
    }));
    broker.on(apis.offsetCommit, (request) => ({
      topics: request.topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex, committedOffset }) => {
          if (request.generationIdOrMemberEpoch !== this.generationId)
            return { partitionIndex, errorCode: errorCodes.ILLEGAL_GENERATION };
          this.committed.push(`${request.generationIdOrMemberEpoch}: ${partitionIndex}@${committedOffset}`);
          return { partitionIndex };
        }),
      })),
    }));
    broker.on(apis.listOffsets, (request) => ({
      topics: request.topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, offset: 0 })),
      })),
    }));
    broker.on(apis.fetch, async (request) => {
      const wanted = request.topics[0]?.partitions ?? [];
      const found = wanted.map(({ partition, fetchOffset }) => this.fetched(partition, fetchOffset));
      // An empty answer is parked, as a broker does.
      if (found.every((answer) => answer === undefined))
        await new Promise<void>((resolve) => void this.clock.after(request.maxWaitMs, resolve));
      const partitions = wanted.map(({ partition }, i) => ({
        partitionIndex: partition,
        highWatermark: 1_000_000,
        ...found[i],
      }));
      return { responses: [{ topic: 't', partitions }] };
    });
    broker.on(apis.leaveGroup, () => ({ members: [] }));
  }

  async connect(options: ClientOptions = {}): Promise<Client> {
    const platform = { ...nodePlatform(), clock: this.clock, random: new SeededRandom(5) };
    this.client = await this.run(Client.connect(this.broker, { platform, ...options }));
    return this.client;
  }

  /** Runs time until the work is done, for as long as `forMs`. */
  async run<T>(work: Promise<T>, forMs: number = 200_000): Promise<T> {
    let isDone = false;
    void Promise.allSettled([work]).then(() => (isDone = true));
    for (let ranMs = 0; !isDone && ranMs < forMs; ranMs += 10) await this.clock.advance(10);
    if (!isDone) throw new Error(`not done after ${forMs} ms`);
    return await work;
  }

  /** Runs time until this is so, for as long as `forMs`. */
  async until(isSo: () => boolean, forMs: number = 200_000): Promise<void> {
    for (let ranMs = 0; !isSo(); ranMs += 10) {
      if (ranMs >= forMs) throw new Error(`not so after ${forMs} ms`);
      await this.clock.advance(10);
    }
  }
}

/** Records of topic `t` with their offsets as values. */
export function recordsFrom(offset: number, count: number): Uint8Array {
  const writer = new RecordBatchWriter();
  for (let i = 0; i < count; i++) writer.append(1, Buffer.from('k'), Buffer.from(String(offset + i)));
  return writer.close({ baseOffset: offset, partitionLeaderEpoch: 0 });
}
