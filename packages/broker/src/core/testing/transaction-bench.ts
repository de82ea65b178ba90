import { silentLogger } from '@millrace/platform';
import { VirtualClock } from '@millrace/platform/simulated';
import { brokerConfigFrom } from '../broker-config.ts';
import { RequestRefusedError, type ErrorName } from '../errors.ts';
import {
  TransactionCoordinator,
  type InitProducerIdRequest,
  type OpenTransaction,
  type TransactionMarker,
} from '../transactions/transaction-coordinator.ts';
import { decodeTransactionRecord } from '../transactions/transaction-records.ts';
import type { ProducerIdentity } from '../transactions/transaction.ts';
import { MemoryCoordinatorLog } from './memory-coordinator-log.ts';

/** Partitions that remember their markers, durable or not: what survives a crash is what was synced. */
export class MarkedPartitions {
  isHeld = false;
  readonly missing: Set<string> = new Set();
  /** What their logs show as open when the coordinator starts. */
  open: readonly OpenTransaction[] = [];
  /** Have seen a newer epoch of every producer. */
  readonly fenced: Set<string> = new Set();
  #markers: { readonly at: string; readonly marker: TransactionMarker }[] = [];
  #durableCount = 0;
  #waiting: (() => void)[] = [];

  write(at: string, marker: TransactionMarker): Promise<void> | undefined {
    if (this.missing.has(at)) return undefined;
    if (this.fenced.has(at)) throw new RequestRefusedError('INVALID_PRODUCER_EPOCH', 'a newer epoch was seen');
    this.#markers.push({ at, marker });
    if (this.isHeld) return new Promise((resolve) => void this.#waiting.push(resolve));
    this.#durableCount = this.#markers.length;
    return Promise.resolve();
  }

  /** The markers so far are on the disk; `count`: only the first of them. */
  sync(count: number = this.#markers.length): void {
    this.#durableCount = count;
    if (count === this.#markers.length) for (const resolve of this.#waiting.splice(0)) resolve();
  }

  crash(): MarkedPartitions {
    const survivor = new MarkedPartitions();
    survivor.#markers = this.#markers.slice(0, this.#durableCount);
    survivor.#durableCount = survivor.#markers.length;
    survivor.open = this.open;
    return survivor;
  }

  /** `orders-0 commit 7/0`: place, outcome, producer id and epoch. */
  get written(): readonly string[] {
    return this.#markers.map(
      ({ at, marker }) => `${at} ${marker.isCommit ? 'commit' : 'abort'} ${marker.producerId}/${marker.producerEpoch}`,
    );
  }

  get epochs(): readonly number[] {
    return this.#markers.map(({ marker }) => marker.coordinatorEpoch);
  }
}

/** A transaction coordinator on virtual time over a log in memory, for tests. Topic `orders` has partitions 0 to 3. */
export class TransactionBench {
  readonly clock: VirtualClock;
  readonly log: MemoryCoordinatorLog;
  readonly partitions: MarkedPartitions;
  readonly coordinator: TransactionCoordinator;
  nextProducerId: number;
  readonly #config: Readonly<Record<string, number>>;

  private constructor(parts: {
    readonly clock: VirtualClock;
    readonly log: MemoryCoordinatorLog;
    readonly partitions: MarkedPartitions;
    readonly config: Readonly<Record<string, number>>;
    readonly nextProducerId: number;
  }) {
    this.clock = parts.clock;
    this.log = parts.log;
    this.partitions = parts.partitions;
    this.nextProducerId = parts.nextProducerId;
    this.#config = parts.config;
    this.coordinator = new TransactionCoordinator({
      clock: this.clock,
      logger: silentLogger,
      config: brokerConfigFrom(parts.config),
      log: this.log,
      producerIds: { next: async () => this.nextProducerId++ },
      partitions: {
        exists: (topic, partition) => topic === 'orders' && partition < 4,
        ofGroup: async () => ({ topic: '__consumer_offsets', partition: 3 }),
        writeMarker: (topic, partition, marker) => this.partitions.write(`${topic}-${partition}`, marker),
        openTransactions: () => this.partitions.open,
      },
    });
  }

  static async open(
    config: Readonly<Record<string, number>> = {},
    log: MemoryCoordinatorLog = new MemoryCoordinatorLog(),
  ): Promise<TransactionBench> {
    const bench = new TransactionBench({
      clock: new VirtualClock(1_000_000),
      log,
      partitions: new MarkedPartitions(),
      config,
      nextProducerId: 7,
    });
    await bench.coordinator.load();
    return bench;
  }

  /** A coordinator that starts after this one was killed: it finds what was durable. */
  async restart(): Promise<TransactionBench> {
    const bench = new TransactionBench({
      clock: new VirtualClock(this.clock.now()),
      log: this.log.crash(),
      partitions: this.partitions.crash(),
      config: this.#config,
      nextProducerId: this.nextProducerId,
    });
    await bench.coordinator.load();
    return bench;
  }

  /** `id/epoch`, or the error. */
  async init(request: Partial<InitProducerIdRequest> = {}): Promise<string> {
    try {
      const { producerId, producerEpoch } = await this.coordinator.initProducerId({
        transactionalId: 't',
        timeoutMs: 60_000,
        expected: null,
        ...request,
      });
      return `${producerId}/${producerEpoch}`;
    } catch (error) {
      return (error as { readonly code: string }).code;
    }
  }

  /** With what the producer has. */
  retry(producerId: number, producerEpoch: number): Promise<string> {
    return this.init({ expected: { producerId, producerEpoch } });
  }

  async add(
    producer: ProducerIdentity,
    partitions: readonly number[],
    transactionalId: string = 't',
  ): Promise<(ErrorName | null)[]> {
    const results = await this.coordinator.addPartitions({
      transactionalId,
      ...producer,
      partitions: partitions.map((partition) => ({ topic: 'orders', partition })),
    });
    return results.map((result) => result.error);
  }

  end(
    producer: ProducerIdentity,
    outcome: 'commit' | 'abort',
    transactionalId: string = 't',
  ): Promise<ErrorName | null> {
    return this.coordinator.end({ transactionalId, ...producer, isCommit: outcome === 'commit' });
  }

  isOpen(producer: ProducerIdentity, partition: number): boolean {
    return this.coordinator.isPartitionInTransaction({ transactionalId: 't', ...producer, topic: 'orders', partition });
  }

  /** The states that were written, in order. */
  get states(): readonly string[] {
    return this.log.records.flatMap((record) =>
      record.kind === 'record' ? [decodeTransactionRecord(record)?.transaction?.state ?? 'gone'] : [],
    );
  }
}
