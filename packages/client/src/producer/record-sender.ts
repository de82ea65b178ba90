import type { TopicSink } from '@millrace/serde';
import { ClosedError, DeliveryTimeoutError, InvalidOptionError } from '../errors.ts';
import type { Position } from '../positions.ts';
import type { OutgoingRecord } from '../records.ts';
import { partitionOf } from './partitioner.ts';
import type { ProducerBatch } from './producer-batch.ts';
import { withTimeout } from '../network/with-timeout.ts';
import type { ProducerEngine } from './producer-engine.ts';
import { RecordEncoder, type EncodedRecord } from './record-encoder.ts';
import { SendCall } from './send-call.ts';

/** What of a topic is remembered between two sends. */
interface TopicState {
  /** The last call that had to wait: later ones come after it. */
  turn: Promise<void> | undefined;
  stickyPartition: number;
  stickyBatch: ProducerBatch | undefined;
}

/**
 * Typed records into an engine. A call that need not wait (the topic's partitions are known, there is room) appends at once;
 * others wait their turn, topic by topic, so that the records of a topic keep the order of the calls.
 */
export class RecordSender {
  readonly #engine: ProducerEngine;
  readonly #topics = new Map<string, TopicState>();
  readonly #encoders = new WeakMap<object, RecordEncoder<never, never>>();
  #isClosed = false;

  constructor(engine: ProducerEngine) {
    this.#engine = engine;
  }

  send<K, V>(topic: TopicSink<K, V>, records: readonly OutgoingRecord<K, V>[]): Promise<readonly Position[]> {
    const call = new SendCall();
    this.add(topic, records, call);
    return call.settled;
  }

  /** Appends all records to the call and seals it; resolves at once if it need not wait for room. */
  add<K, V>(topic: TopicSink<K, V>, records: readonly OutgoingRecord<K, V>[], call: SendCall): void {
    if (this.#isClosed) return call.seal(new ClosedError('producer'));
    const state = this.#stateOf(topic.name);
    const encoder = this.#encoderOf(topic);
    try {
      const known = this.#engine.cluster.metadata.topics.get(topic.name)?.partitions.length;
      const canAppend = state.turn === undefined && encoder.isPrepared && known !== undefined;
      const encoded = canAppend ? encoder.encode(records) : undefined;
      if (encoded !== undefined && known !== undefined) {
        const appended = this.#append(topic.name, state, encoded, 0, known, call);
        if (appended === encoded.length) return call.seal();
        return this.#inTurn(state, (byMs) => this.#appendRest(topic.name, state, encoded, appended, call, byMs), call);
      }
    } catch (error) {
      return call.seal(error as Error);
    }
    this.#inTurn(
      state,
      async (byMs) => {
        const encoded = await encodeAll(encoder, records);
        await this.#appendRest(topic.name, state, encoded, 0, call, byMs);
      },
      call,
    );
  }

  /** Takes no more calls; those that wait go on. */
  close(): void {
    this.#isClosed = true;
  }

  /** Resolves when no call waits to append. */
  async admitted(): Promise<void> {
    for (const state of this.#topics.values()) while (state.turn !== undefined) await state.turn;
  }

  #inTurn(state: TopicState, work: (byMs: number) => Promise<void>, call: SendCall): void {
    const { accumulator, cluster } = this.#engine;
    const byMs = cluster.platform.clock.monotonic() + accumulator.deliveryTimeoutMs;
    const turn = (state.turn ?? Promise.resolve())
      .then(() => work(byMs))
      .then(
        () => call.seal(),
        (error: Error) => call.seal(error),
      )
      .then(() => {
        if (state.turn === turn) state.turn = undefined;
      });
    state.turn = turn;
  }

  async #appendRest(
    topic: string,
    state: TopicState,
    records: readonly EncodedRecord[],
    from: number,
    call: SendCall,
    byMs: number,
  ): Promise<void> {
    const { accumulator, cluster } = this.#engine;
    const { clock } = cluster.platform;
    const partitionCount = await this.#engine.partitionCount(topic);
    for (let next = from; next < records.length;) {
      if (accumulator.isFull) {
        await withTimeout(cluster, accumulator.drained(), Math.max(0, byMs - clock.monotonic()));
        if (accumulator.isFull) throw new DeliveryTimeoutError(topic, undefined, accumulator.deliveryTimeoutMs);
      }
      next = this.#append(topic, state, records, next, partitionCount, call);
    }
  }

  /** As many as there is room for; gives back where it stopped. */
  #append(
    topic: string,
    state: TopicState,
    records: readonly EncodedRecord[],
    from: number,
    partitionCount: number,
    call: SendCall,
  ): number {
    const nowMs = this.#engine.cluster.platform.clock.now();
    for (let i = from; i < records.length; i++) {
      if (this.#engine.accumulator.isFull) return i;
      const record = records[i]!;
      const partition = this.#partitionOf(topic, state, record, partitionCount);
      const timestampMs = record.timestampMs ?? nowMs;
      const batch = this.#engine.append(topic, partition, timestampMs, record.key, record.value, record.headers);
      if (record.key === null && record.partition === undefined) state.stickyBatch = batch;
      call.add(batch);
    }
    return records.length;
  }

  #partitionOf(topic: string, state: TopicState, record: EncodedRecord, partitionCount: number): number {
    const { partition, key } = record;
    if (partition !== undefined) {
      if (Number.isInteger(partition) && partition >= 0) return partition;
      throw new InvalidOptionError('partition', partition, `${topic} has partitions 0 to ${partitionCount - 1}.`);
    }
    if (key !== null) return partitionOf(key, partitionCount);
    // KIP-480: records without a key fill one batch before they move on to another partition.
    const isOpen = state.stickyBatch !== undefined && this.#engine.accumulator.isOpen(state.stickyBatch);
    if (!isOpen || state.stickyPartition >= partitionCount) {
      state.stickyPartition = Math.floor(this.#engine.cluster.platform.random.next() * partitionCount);
    }
    return state.stickyPartition;
  }

  #stateOf(topic: string): TopicState {
    let state = this.#topics.get(topic);
    if (state === undefined) {
      state = { turn: undefined, stickyPartition: 0, stickyBatch: undefined };
      this.#topics.set(topic, state);
    }
    return state;
  }

  #encoderOf<K, V>(topic: TopicSink<K, V>): RecordEncoder<K, V> {
    let encoder = this.#encoders.get(topic) as RecordEncoder<K, V> | undefined;
    if (encoder === undefined) {
      encoder = new RecordEncoder(topic);
      this.#encoders.set(topic, encoder as unknown as RecordEncoder<never, never>);
    }
    return encoder;
  }
}

const maxPreparations = 3;

async function encodeAll<K, V>(
  encoder: RecordEncoder<K, V>,
  records: readonly OutgoingRecord<K, V>[],
): Promise<readonly EncodedRecord[]> {
  for (let i = 1; ; i++) {
    if (!encoder.isPrepared) await encoder.prepare();
    const encoded = encoder.encode(records, i === maxPreparations);
    if (encoded !== undefined) return encoded;
  }
}
