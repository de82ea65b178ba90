import {
  partitionOfId,
  type AppendedRecords,
  type CoordinatorLog,
  type CoordinatorRecord,
  type ReplayedRecord,
  type TransactionalProducer,
} from '../coordinator-log.ts';

/**
 * A coordinator log in memory, for tests: what it holds becomes durable when told, and a crash takes back the rest. A disk that
 * syncs by itself is `isHeld: false`.
 */
export class MemoryCoordinatorLog implements CoordinatorLog {
  isOpen: boolean;
  /** Appends wait for `sync`. */
  isHeld = false;
  /** Thrown by the next append. */
  nextFailure: Error | null = null;
  epoch = 0;
  readonly #partitionCount: number;
  #records: ReplayedRecord[] = [];
  #nextOffsets = new Map<number, number>();
  #durableCount = 0;
  #waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void }[] = [];

  constructor(options: { readonly partitionCount?: number | undefined; readonly isOpen?: boolean | undefined } = {}) {
    this.#partitionCount = options.partitionCount ?? 5;
    this.isOpen = options.isOpen ?? true;
  }

  async open(): Promise<void> {
    this.isOpen = true;
  }

  partitionOf(id: string): number {
    return partitionOfId(id, this.#partitionCount);
  }

  epochOf(): number {
    return this.epoch;
  }

  append(partition: number, records: readonly CoordinatorRecord[], producer?: TransactionalProducer): AppendedRecords {
    this.#failIfTold();
    const baseOffset = this.#nextOffsets.get(partition) ?? 0;
    records.forEach(({ key, value }, index) => {
      const producerId = producer?.producerId ?? -1;
      this.#records.push({ kind: 'record', partition, offset: baseOffset + index, key, value, producerId });
    });
    this.#nextOffsets.set(partition, baseOffset + records.length);
    return { baseOffset, done: this.#durable() };
  }

  appendMarker(partition: number, producerId: number, isCommit: boolean): AppendedRecords {
    this.#failIfTold();
    const offset = this.#nextOffsets.get(partition) ?? 0;
    this.#records.push({ kind: 'marker', partition, offset, producerId, isCommit });
    this.#nextOffsets.set(partition, offset + 1);
    return { baseOffset: offset, done: this.#durable() };
  }

  /** What was appended is on the disk. */
  sync(): void {
    this.#durableCount = this.#records.length;
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  /** What was appended never gets to the disk. */
  fail(error: Error): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  /** What a process finds that starts after this one was killed. The promises of this one never settle. */
  crash(): MemoryCoordinatorLog {
    const survivor = new MemoryCoordinatorLog({ partitionCount: this.#partitionCount, isOpen: this.isOpen });
    survivor.#records = this.#records.slice(0, this.isHeld ? this.#durableCount : undefined);
    for (const { partition, offset } of survivor.#records) survivor.#nextOffsets.set(partition, offset + 1);
    survivor.#durableCount = survivor.#records.length;
    return survivor;
  }

  get records(): readonly ReplayedRecord[] {
    return this.#records;
  }

  async replay(visit: (record: ReplayedRecord) => void): Promise<void> {
    for (const record of this.#records) visit(record);
  }

  #durable(): Promise<void> {
    if (!this.isHeld) {
      this.#durableCount = this.#records.length;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => void this.#waiting.push({ resolve, reject }));
  }

  #failIfTold(): void {
    const failure = this.nextFailure;
    this.nextFailure = null;
    if (failure !== null) throw failure;
  }
}
