import { decode, type RecordHeaders, type SerdeContext } from '@millrace/serde';
import { checkedTime } from '../event-time.ts';
import type { SourceNode } from '../plan/plan.ts';
import type { InputRecord } from '../task/ports.ts';
import type { CurrentRecord } from '../task/record-context.ts';
import type { Failures } from './failures.ts';
import { fanOut, type Receiver } from './receiver.ts';

/** Decodes records of a topic and passes them on. */
export class SourceReader {
  readonly node: SourceNode;
  readonly #next: Receiver;
  /** Tables whose topic this is: null values pass to them alone, if the serde does not take them. */
  readonly #tables: Receiver | null;
  readonly #record: CurrentRecord;
  readonly #onInvalid: Failures;
  readonly #keyContext: SerdeContext;
  readonly #valueContext: SerdeContext;
  readonly #partition: number;
  readonly #acceptsNull: boolean;

  constructor(
    node: SourceNode,
    next: Receiver,
    tables: readonly Receiver[],
    record: CurrentRecord,
    onInvalid: Failures,
    partition: number,
  ) {
    this.node = node;
    this.#next = next;
    this.#tables = tables.length === 0 ? null : fanOut(tables);
    this.#record = record;
    this.#onInvalid = onInvalid;
    this.#keyContext = new SourceContext('key', record);
    this.#valueContext = new SourceContext('value', record);
    this.#partition = partition;
    this.#acceptsNull = node.acceptsNullValues || node.value.acceptsNull === true;
  }

  /** @param seen told the event time of a record that was not refused, before it is passed on */
  read(topic: string, input: InputRecord, seen: (timestampMs: number) => void): void {
    const record = this.#record;
    record.begin(topic, this.#partition, input);
    const { node } = this;
    const { keyBytes, valueBytes } = record; // once: each look at the input may make a view
    const isTombstone = valueBytes === null && !this.#acceptsNull;
    let key: unknown;
    let value: unknown = null;
    try {
      // A table drops and counts null keys itself, whatever the serde says.
      key = keyBytes === null && this.#tables !== null ? null : decode(node.key, keyBytes, this.#keyContext);
      if (valueBytes !== null) value = node.value.deserialize(valueBytes, this.#valueContext);
      else if (isTombstone && this.#tables === null) decode(node.value, null, this.#valueContext); // refuses it
      if (node.timestampMs !== undefined) record.timestampMs = node.timestampMs(value, key, record.sourceTimestampMs);
      checkedTime(record.timestampMs);
    } catch (error) {
      return this.#onInvalid.giveUp(error);
    }
    seen(record.timestampMs);
    this.#tables?.receive(key, value, undefined);
    if (!isTombstone) this.#next.receive(key, value, undefined);
  }

  /** What can be told of a record before it is processed; undefined: it will be refused. */
  peek(
    topic: string,
    input: InputRecord,
  ): { readonly key: unknown; readonly value: unknown; readonly timestampMs: number } | undefined {
    this.#record.begin(topic, this.#partition, input);
    try {
      const key = input.key === null ? null : this.node.key.deserialize(input.key, this.#keyContext);
      const value = input.value === null ? null : this.node.value.deserialize(input.value, this.#valueContext);
      const timestampMs = this.node.timestampMs?.(value, key, input.timestampMs) ?? input.timestampMs;
      return { key, value, timestampMs: checkedTime(timestampMs) };
    } catch {
      return undefined; // its own failure tells it when it is processed
    }
  }
}

/** Topic and headers of the record at hand. */
class SourceContext implements SerdeContext {
  readonly part: 'key' | 'value';
  readonly #record: CurrentRecord;

  constructor(part: 'key' | 'value', record: CurrentRecord) {
    this.part = part;
    this.#record = record;
  }

  get topic(): string {
    return this.#record.topic;
  }
  get headers(): RecordHeaders {
    return this.#record.headers;
  }
}
