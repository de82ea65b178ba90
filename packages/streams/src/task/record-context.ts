import { recordHeaders, type HeaderEntry, type RecordHeaders } from '@millrace/serde';
import type { RecordContext } from '../dsl/kstream.ts';
import type { InputRecord } from './ports.ts';

/**
 * The record at hand, reused for all records of a task. Nodes change time and headers for what they pass on, and set them back
 * when it has passed.
 */
export class CurrentRecord implements RecordContext {
  topic = '';
  partition = 0;
  offset = -1;
  timestampMs = -1;
  /** The same headers as entries; `headers` is made of them when a function asks for it. */
  headerEntries: readonly HeaderEntry[] = [];
  /** As they came, for dead letters. Views on the fetch. */
  keyBytes: Uint8Array | null = null;
  valueBytes: Uint8Array | null = null;
  /** Time of the source record, whatever nodes have made of it. */
  sourceTimestampMs = -1;
  sourceHeaders: readonly HeaderEntry[] = [];
  #headers: RecordHeaders | null = null;
  #headersOf: readonly HeaderEntry[] | null = null;

  get headers(): RecordHeaders {
    if (this.#headers === null || this.#headersOf !== this.headerEntries) {
      this.#headers = recordHeaders(this.headerEntries);
      this.#headersOf = this.headerEntries;
    }
    return this.#headers;
  }

  begin(topic: string, partition: number, record: InputRecord): void {
    this.topic = topic;
    this.partition = partition;
    this.offset = record.offset;
    this.timestampMs = record.timestampMs;
    this.headerEntries = record.headers;
    this.keyBytes = record.key;
    this.valueBytes = record.value;
    this.sourceTimestampMs = record.timestampMs;
    this.sourceHeaders = record.headers;
  }

  /** What outlives the call: a copy of all of it. */
  snapshot(): RecordSnapshot {
    return {
      topic: this.topic,
      partition: this.partition,
      offset: this.offset,
      timestampMs: this.timestampMs,
      headerEntries: this.headerEntries,
      keyBytes: copyOf(this.keyBytes),
      valueBytes: copyOf(this.valueBytes),
      sourceTimestampMs: this.sourceTimestampMs,
      sourceHeaders: this.sourceHeaders,
    };
  }

  restore(snapshot: RecordSnapshot): void {
    Object.assign(this, snapshot);
  }
}

/** A record that waits: for an answer, or for its next try. */
export interface RecordSnapshot {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly timestampMs: number;
  readonly headerEntries: readonly HeaderEntry[];
  readonly keyBytes: Uint8Array | null;
  readonly valueBytes: Uint8Array | null;
  readonly sourceTimestampMs: number;
  readonly sourceHeaders: readonly HeaderEntry[];
}

function copyOf(bytes: Uint8Array | null): Uint8Array | null {
  return bytes === null ? null : Uint8Array.prototype.slice.call(bytes);
}
