import { encode, recordHeaders, type SerdeContext, type TopicSink } from '@millrace/serde';
import type {
  PartitionerFunction,
  RepartitionNode as RepartitionPlan,
  SinkNode as SinkPlan,
  UserFunction,
} from '../plan/plan.ts';
import type { RecordCollector, Refusal, TaskEnvironment } from '../task/ports.ts';
import type { CurrentRecord } from '../task/record-context.ts';
import type { Failures } from './failures.ts';
import type { Receiver } from './receiver.ts';
import { isNothing, notPromise } from './stateless.ts';

/** Encodes records for topics and hands them to the collector. */
class TopicWriter {
  readonly #collector: RecordCollector;
  readonly #record: CurrentRecord;
  readonly #partitioner: PartitionerFunction | undefined;

  constructor(collector: RecordCollector, record: CurrentRecord, partitioner: PartitionerFunction | undefined) {
    this.#collector = collector;
    this.#record = record;
    this.#partitioner = partitioner;
  }

  write(
    topic: string,
    serdes: Pick<TopicSink<any, any>, 'key' | 'value'>,
    contexts: Contexts,
    key: unknown,
    value: unknown,
    onUnknown?: () => Refusal,
  ): void {
    const record = this.#record;
    const keyBytes = encode(serdes.key, key, contexts.key);
    const valueBytes = isNothing(value) ? null : serdes.value.serialize(value, contexts.value);
    let partition = -1;
    if (this.#partitioner !== undefined) {
      const numPartitions = this.#collector.partitionCount(topic);
      partition = this.#partitioner(value, { keyBytes, numPartitions });
      if (!Number.isSafeInteger(partition) || partition < 0 || partition >= numPartitions) {
        throw new RangeError(
          `The partitioner chose ${String(partition)} of the ${numPartitions} partitions of ${topic}.`,
        );
      }
    }
    const partitionBytes = keyBytes === null ? undefined : serdes.key.partitionBytes?.(keyBytes);
    const { timestampMs, headerEntries } = record;
    this.#collector.send(topic, partition, timestampMs, keyBytes, valueBytes, headerEntries, onUnknown, partitionBytes);
  }
}

interface Contexts {
  readonly key: SerdeContext;
  readonly value: SerdeContext;
}

function contextsOf(topic: string): Contexts {
  const headers = recordHeaders();
  return { key: { topic, part: 'key', headers }, value: { topic, part: 'value', headers } };
}

/** To a topic of the user. A table's deletions come as undefined, and are written as tombstones. */
export class ToNode implements Receiver {
  readonly #topic: TopicSink<any, any> | UserFunction<TopicSink<any, any>>;
  readonly #record: CurrentRecord;
  readonly #failures: Failures;
  readonly #writer: TopicWriter;
  readonly #contexts = new Map<string, Contexts>();
  /** A topic that a function has named for this record is not there: that is the record's failure. One of the plan is there. */
  readonly #onUnknown = (): Refusal => {
    const record = this.#record.snapshot();
    return (error) => {
      this.#record.restore(record);
      this.#failures.giveUp(error);
    };
  };

  constructor(
    topic: TopicSink<any, any> | UserFunction<TopicSink<any, any>>,
    partitioner: PartitionerFunction | undefined,
    collector: RecordCollector,
    record: CurrentRecord,
    failures: Failures,
  ) {
    this.#topic = topic;
    this.#record = record;
    this.#failures = failures;
    this.#writer = new TopicWriter(collector, record, partitioner);
  }

  receive(key: unknown, value: unknown, oldValue: unknown): void {
    try {
      const topic = typeof this.#topic === 'function' ? this.#topic(value, key, this.#record) : this.#topic;
      notPromise(this.#failures.node, value);
      let contexts = this.#contexts.get(topic.name);
      if (contexts === undefined) {
        contexts = contextsOf(topic.name);
        this.#contexts.set(topic.name, contexts);
      }
      this.#writer.write(topic.name, topic, contexts, key, value, this.#onUnknown);
    } catch (error) {
      this.#failures.handle(error, key, value, oldValue);
    }
  }
}

/** To a repartition topic. */
export class RepartitionNode implements Receiver {
  readonly #plan: RepartitionPlan;
  readonly #topic: string;
  readonly #failures: Failures;
  readonly #writer: TopicWriter;
  readonly #contexts: Contexts;

  constructor(
    plan: RepartitionPlan,
    topic: string,
    collector: RecordCollector,
    record: CurrentRecord,
    failures: Failures,
  ) {
    this.#plan = plan;
    this.#topic = topic;
    this.#failures = failures;
    this.#writer = new TopicWriter(collector, record, plan.partitioner);
    this.#contexts = contextsOf(topic);
  }

  receive(key: unknown, value: unknown): void {
    try {
      notPromise(this.#failures.node, value);
      this.#writer.write(this.#topic, this.#plan, this.#contexts, key, value);
    } catch (error) {
      // No further try: encoding fails again, and behind a table's `groupBy` the policy's node is that one, not this.
      this.#failures.giveUp(error);
    }
  }
}

/**
 * To a sink: the runtime keeps what came from which source record. Results are counted here, by sink: a count common to all of
 * the record's sinks would change when one of its results is held up by a retry, and a replay would number them otherwise.
 */
export class SinkNode implements Receiver {
  readonly #plan: SinkPlan;
  readonly #record: CurrentRecord;
  readonly #environment: TaskEnvironment;
  /** The source record of the last result, and how many it has had. */
  #topic = '';
  #partition = -1;
  #offset = -1;
  #count = 0;

  constructor(plan: SinkPlan, record: CurrentRecord, environment: TaskEnvironment) {
    this.#plan = plan;
    this.#record = record;
    this.#environment = environment;
  }

  receive(key: unknown, value: unknown): void {
    const { topic, partition, offset, timestampMs, headers } = this.#record;
    if (offset !== this.#offset || partition !== this.#partition || topic !== this.#topic) {
      this.#topic = topic;
      this.#partition = partition;
      this.#offset = offset;
      this.#count = 0;
    }
    const ordinal = this.#count++;
    this.#environment.sink(this.#plan, { key, value, timestampMs, headers, offset, ordinal }, { topic, partition });
  }
}
