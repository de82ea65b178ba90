import type { RecordReader } from '@millrace/protocol';
import { decode, recordHeaders, type RecordHeaders, type Serde } from '@millrace/serde';
import { isMillraceError } from '@millrace/platform';
import { InvalidRecordError } from '../errors.ts';
import type { AnyTopic, ConsumerRecord } from '../records.ts';
import type { OnInvalid } from './consumer-options.ts';
import type { FetchedChunk } from './fetched-chunk.ts';

interface Contract {
  readonly key: Serde<unknown>;
  readonly value: Serde<unknown>;
  readonly keyContext: { topic: string; part: 'key'; headers: RecordHeaders };
  readonly valueContext: { topic: string; part: 'value'; headers: RecordHeaders };
  isPrepared: boolean;
}

const noHeaders = recordHeaders();
const maxPreparations = 3;

/** A part of a chunk, decoded. */
export interface DecodedPart<R> {
  readonly records: readonly R[];
  /** Offset after the last record looked at. */
  readonly nextOffset: number;
  readonly isExhausted: boolean;
  /** A record that its serde refuses, behind `records`; `onInvalid` said to fail. */
  readonly error: Error | undefined;
}

/** Turns fetched bytes into the records of their topics' contracts. */
export class RecordDecoder<R> {
  readonly #topics: readonly AnyTopic[];
  readonly #onInvalid: OnInvalid;
  readonly #contracts = new Map<string, Contract>();

  constructor(topics: readonly AnyTopic[], onInvalid: OnInvalid) {
    this.#topics = topics;
    this.#onInvalid = onInvalid;
  }

  /** Fetches what the topic's serdes need (schema ids), if it has not been done. */
  async prepare(topic: string): Promise<void> {
    const contract = this.#contractOf(topic);
    if (contract.isPrepared) return;
    await contract.key.prepare?.(topic, 'key');
    await contract.value.prepare?.(topic, 'value');
    contract.isPrepared = true;
  }

  /** Decodes up to `maxRecords` of what is left of a chunk. */
  async take(chunk: FetchedChunk, maxRecords: number): Promise<DecodedPart<R>> {
    const contract = this.#contractOf(chunk.topic);
    const records: R[] = [];
    const { reader } = chunk;
    let nextOffset = chunk.firstOffset;
    while (records.length < maxRecords) {
      if (!chunk.next()) return { records, nextOffset: chunk.nextOffset, isExhausted: true, error: undefined };
      nextOffset = reader.offset + 1;
      try {
        records.push(this.#decode(contract, chunk, reader) as R);
      } catch (thrown) {
        let failure: unknown = thrown;
        if (isMillraceError(thrown, 'SCHEMA_NOT_READY')) {
          const again = await this.#decodeAfterPreparing(contract, chunk, reader);
          if (again.record !== undefined) {
            records.push(again.record as R);
            continue;
          }
          failure = again.error;
        }
        const error = this.#refusal(failure as Error, chunk, reader);
        if (error !== undefined) return { records, nextOffset: reader.offset, isExhausted: false, error };
      }
    }
    return { records, nextOffset, isExhausted: false, error: undefined };
  }

  #decode(contract: Contract, chunk: FetchedChunk, reader: RecordReader): ConsumerRecord<unknown, unknown> {
    const headers = reader.headerCount === 0 ? noHeaders : headersOf(reader);
    contract.keyContext.headers = headers;
    contract.valueContext.headers = headers;
    return {
      topic: chunk.topic,
      partition: chunk.partition,
      offset: reader.offset,
      timestampMs: reader.timestampMs,
      key: decode(contract.key, reader.key, contract.keyContext),
      value: decode(contract.value, reader.value, contract.valueContext),
      headers,
    };
  }

  async #decodeAfterPreparing(
    contract: Contract,
    chunk: FetchedChunk,
    reader: RecordReader,
  ): Promise<{ record?: ConsumerRecord<unknown, unknown>; error?: unknown }> {
    let error: unknown;
    for (let i = 0; i < maxPreparations; i++) {
      contract.isPrepared = false;
      await this.prepare(chunk.topic);
      try {
        return { record: this.#decode(contract, chunk, reader) };
      } catch (thrown) {
        error = thrown;
        if (!isMillraceError(thrown, 'SCHEMA_NOT_READY')) break;
      }
    }
    return { error };
  }

  /** undefined: the record is skipped. */
  #refusal(cause: Error, chunk: FetchedChunk, reader: RecordReader): Error | undefined {
    const { topic, partition } = chunk;
    const decision =
      typeof this.#onInvalid === 'string'
        ? this.#onInvalid
        : this.#onInvalid(cause, {
            topic,
            partition,
            offset: reader.offset,
            timestampMs: reader.timestampMs,
            key: reader.key?.slice() ?? null,
            value: reader.value?.slice() ?? null,
            headers: headersOf(reader),
          });
    return decision === 'skip' ? undefined : new InvalidRecordError({ topic, partition, offset: reader.offset }, cause);
  }

  #contractOf(topic: string): Contract {
    let contract = this.#contracts.get(topic);
    if (contract === undefined) {
      const found = this.#topics.find((candidate) => matches(candidate, topic))!;
      contract = {
        key: found.key,
        value: found.value,
        keyContext: { topic, part: 'key', headers: noHeaders },
        valueContext: { topic, part: 'value', headers: noHeaders },
        isPrepared: found.key.prepare === undefined && found.value.prepare === undefined,
      };
      this.#contracts.set(topic, contract);
    }
    return contract;
  }
}

/** Whether a contract is for the topic of this name. */
export function matches(candidate: AnyTopic, topic: string): boolean {
  if ('name' in candidate) return candidate.name === topic;
  candidate.pattern.lastIndex = 0; // a `g` or `y` flag would make it remember
  return candidate.pattern.test(topic);
}

/** A copy: header values are views on the fetched bytes. */
function headersOf(reader: RecordReader): RecordHeaders {
  return recordHeaders(reader.headers().map(([name, value]) => [name, value === null ? null : value.slice()] as const));
}
