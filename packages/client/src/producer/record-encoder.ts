import { isMillraceError } from '@millrace/platform';
import type { HeaderEntry } from '@millrace/protocol';
import {
  encode,
  headerEntries,
  recordHeaders,
  type RecordHeaders,
  type Serde,
  type Serializer,
  type TopicSink,
} from '@millrace/serde';
import type { OutgoingRecord } from '../records.ts';

/** A record as bytes, ready for its partition. */
export interface EncodedRecord {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly HeaderEntry[] | undefined;
  readonly timestampMs: number | undefined;
  readonly partition: number | undefined;
}

const noHeaders = recordHeaders();

/** Turns the records of one topic into bytes. */
export class RecordEncoder<K, V> {
  readonly #topic: TopicSink<K, V>;
  // One context each, reused: a serde reads it during the call only.
  readonly #keyContext: { topic: string; part: 'key'; headers: RecordHeaders };
  readonly #valueContext: { topic: string; part: 'value'; headers: RecordHeaders };
  #isPrepared: boolean;

  constructor(topic: TopicSink<K, V>) {
    this.#topic = topic;
    this.#keyContext = { topic: topic.name, part: 'key', headers: noHeaders };
    this.#valueContext = { topic: topic.name, part: 'value', headers: noHeaders };
    this.#isPrepared = preparationOf(topic.key) === undefined && preparationOf(topic.value) === undefined;
  }

  /** Whether `encode` may be called now; else `prepare` first. */
  get isPrepared(): boolean {
    return this.#isPrepared;
  }

  /** Fetches what the serdes need (schema ids). */
  async prepare(): Promise<void> {
    const { name, key, value } = this.#topic;
    await preparationOf(key)?.(name, 'key');
    await preparationOf(value)?.(name, 'value');
    this.#isPrepared = true;
  }

  /** All, or none. undefined: a schema is missing, `prepare` and try again. @throws a serde's error */
  encode(records: readonly OutgoingRecord<K, V>[], isLastTry: boolean = false): EncodedRecord[] | undefined {
    try {
      return records.map((record) => this.#encode(record));
    } catch (error) {
      if (isLastTry || !isMillraceError(error, 'SCHEMA_NOT_READY')) throw error;
      this.#isPrepared = false;
      return undefined;
    }
  }

  #encode(record: OutgoingRecord<K, V>): EncodedRecord {
    const { headers, timestampMs, partition } = record;
    const entries = headers === undefined ? undefined : headerEntries(headers);
    const seen = entries === undefined ? noHeaders : recordHeaders(entries);
    this.#keyContext.headers = seen;
    this.#valueContext.headers = seen;
    // A key that is left out is null: the type allows it only where the topic's key does.
    const key = encode(this.#topic.key, (record.key ?? null) as K, this.#keyContext);
    const value = encode(this.#topic.value, record.value, this.#valueContext);
    return { key, value, headers: entries, timestampMs, partition };
  }
}

function preparationOf<T>(serializer: Serializer<T> & Partial<Pick<Serde<T>, 'prepare'>>): Serde<T>['prepare'] {
  return serializer.prepare;
}
