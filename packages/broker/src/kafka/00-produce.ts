import type { AppendResult, Commit, PartitionLog } from '@millrace/log';
import {
  apis,
  attributesOf,
  batchHeaderBytes,
  readBatchHeader,
  type BatchHeader,
  type RequestOf,
  type ResponseInput,
} from '@millrace/protocol';
import { RequestRefusedError } from '../core/errors.ts';
import { errorCodeOf, errorCodes, errorMessageOf } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';
import type { KafkaServices } from './kafka-services.ts';

type Request = RequestOf<typeof apis.produce>;
type Response = ResponseInput<typeof apis.produce>;
type PartitionResponse = NonNullable<NonNullable<Response['responses']>[number]['partitionResponses']>[number];

const acksValues = [0, 1, -1];
/** zstd came with version 7 (KIP-110): a client that speaks an older one may not know how to read it back. */
const firstVersionWithZstd = 7;
/** From 3 on a partition's records are one batch of magic 2 (KIP-98). */
const firstVersionWithBatches = 3;
const firstVersionWithAbortable = 11;

/**
 * Produce. Versions 0 to 2 are advertised for clients that take their absence for an ancient broker; their message formats are
 * refused. Version 12 would add partitions to transactions by itself (KIP-890 part 2), which needs `transaction.version` 2.
 *
 * `acks=1` is answered like `acks=all`: with one replica, the leader's disk is all there is.
 */
export function produce(services: KafkaServices): Handler {
  return handlerOf(
    apis.produce,
    [0, 11],
    (request, context) => {
      const append = new ProduceCall(services, request, context.apiVersion);
      const response = append.run();
      if (request.acks !== 0) return response;
      // Nobody waits for an answer; closing the connection is the only way to tell that something went wrong.
      if (append.firstError !== undefined) throw append.firstError;
      return null;
    },
    { overlaps: true },
  );
}

class ProduceCall {
  firstError: Error | undefined;
  readonly #services: KafkaServices;
  readonly #request: Request;
  readonly #version: number;
  /** All appends of a turn share a commit: mostly there is one. */
  #commit: Commit | undefined;
  #moreCommits: Set<Commit> | undefined;

  constructor(services: KafkaServices, request: Request, version: number) {
    this.#services = services;
    this.#request = request;
    this.#version = version;
  }

  run(): Response | Promise<Response> {
    const response = {
      responses: this.#request.topicData.map(({ name, partitionData }) => ({
        name,
        partitionResponses: partitionData.map(({ index, records }) => this.#answer(name, index, asOne(records))),
      })),
    };
    const done = this.#durable();
    if (done === undefined || this.#request.acks === 0) return response;
    return done.then(
      () => response,
      (error: unknown) => this.#failed(response, error),
    );
  }

  #answer(topic: string, partition: number, records: Uint8Array | null): PartitionResponse {
    try {
      const result = this.#append(topic, partition, records);
      return {
        index: partition,
        errorCode: errorCodes.NONE,
        baseOffset: result.baseOffset,
        logAppendTimeMs: result.logAppendTimeMs,
        logStartOffset: result.logStartOffset,
      };
    } catch (error) {
      this.firstError ??= error as Error;
      return {
        index: partition,
        errorCode: errorCodeOf(error, this.#services.logger),
        baseOffset: -1,
        recordErrors: recordErrorsOf(error),
        errorMessage: errorMessageOf(error),
      };
    }
  }

  #append(name: string, partition: number, records: Uint8Array | null): AppendResult {
    if (!acksValues.includes(this.#request.acks)) {
      throw new RequestRefusedError('INVALID_REQUIRED_ACKS', `acks is ${this.#request.acks}: use 0, 1 or -1 (all).`);
    }
    const topic = this.#services.topics.topic(name);
    const log = topic?.logs[partition];
    if (topic === undefined || log === undefined) {
      throw new RequestRefusedError(
        'UNKNOWN_TOPIC_OR_PARTITION',
        `There is no partition ${partition} of topic ${name}.`,
      );
    }
    if (topic.isInternal) {
      throw new RequestRefusedError('INVALID_TOPIC_EXCEPTION', `${name} is internal: the broker alone writes it.`);
    }
    if (records === null || records.length === 0) {
      throw new RequestRefusedError('INVALID_RECORD', `The request holds no records for ${name}-${partition}.`);
    }
    this.#verifyTransaction(log, this.#headerOfOneBatch(name, partition, records));
    const result = log.append(records, 'client');
    if (this.#commit === undefined) this.#commit = result.commit;
    else if (this.#commit !== result.commit) (this.#moreCommits ??= new Set()).add(result.commit);
    return result;
  }

  /** The log validates the batch; what depends on the request is looked at here. */
  #headerOfOneBatch(topic: string, partition: number, records: Uint8Array): BatchHeader {
    const magic = records[16];
    if (magic !== undefined && magic < 2) {
      const code = this.#version < firstVersionWithBatches ? 'UNSUPPORTED_FOR_MESSAGE_FORMAT' : 'INVALID_RECORD';
      throw new RequestRefusedError(
        code,
        `Records for ${topic}-${partition} have message format ${magic}: only record batches of magic 2 (Kafka 0.11 and ` +
          'later) are served. Upgrade the producer.',
      );
    }
    if (records.length < batchHeaderBytes) {
      throw new RequestRefusedError(
        'CORRUPT_MESSAGE',
        `The batch for ${topic}-${partition} has ${records.length} bytes: its header alone takes ${batchHeaderBytes}.`,
      );
    }
    const header = readBatchHeader(records, 0);
    const { sizeBytes, attributes } = header;
    if (sizeBytes < records.length && sizeBytes >= batchHeaderBytes) {
      throw new RequestRefusedError(
        'INVALID_RECORD',
        `The request holds more than one batch for ${topic}-${partition}: send exactly one.`,
      );
    }
    if (this.#version < firstVersionWithZstd && attributesOf.compression(attributes) === 'zstd') {
      throw new RequestRefusedError(
        'UNSUPPORTED_COMPRESSION_TYPE',
        `zstd needs version ${firstVersionWithZstd} of Produce, and the request has version ${this.#version}.`,
      );
    }
    return header;
  }

  /**
   * KIP-890 part 1: a batch of a transaction needs the coordinator's word that the partition is part of it. A batch that is late,
   * after its transaction was ended, would otherwise open one that nobody ever ends; and one of an epoch that the coordinator did
   * not give would fence the marker. Kafka asks for the first batch alone: here it is a look-up.
   */
  #verifyTransaction(log: PartitionLog, header: BatchHeader): void {
    const { attributes, producerId, producerEpoch } = header;
    if (!attributesOf.isTransactional(attributes)) return;
    const { transactionalId } = this.#request;
    if (transactionalId === null) {
      throw new RequestRefusedError(
        'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
        'The batch belongs to a transaction, and the request names no transactional id.',
      );
    }
    const { config, transactions } = this.#services;
    if (!config['transaction.partition.verification.enable']) return;
    const { topic, partition } = log;
    if (transactions.isPartitionInTransaction({ transactionalId, producerId, producerEpoch, topic, partition })) return;
    throw new RequestRefusedError(
      this.#version < firstVersionWithAbortable ? 'INVALID_TXN_STATE' : 'TRANSACTION_ABORTABLE',
      `${topic}-${partition} is not part of the current transaction of ${transactionalId}. Abort it, and begin another.`,
    );
  }

  #durable(): Promise<unknown> | undefined {
    if (this.#moreCommits === undefined) return this.#commit?.done;
    return Promise.all([this.#commit!.done, ...[...this.#moreCommits].map((commit) => commit.done)]);
  }

  /** The disk failed under the batches: none of them may be counted on. */
  #failed(response: Response, error: unknown): Response {
    const errorCode = errorCodeOf(error, this.#services.logger);
    const errorMessage = errorMessageOf(error);
    return {
      responses: (response.responses ?? []).map(({ name, partitionResponses }) => ({
        name,
        partitionResponses: (partitionResponses ?? []).map((partition) =>
          partition.errorCode === errorCodes.NONE
            ? { index: partition.index, errorCode, baseOffset: -1, errorMessage }
            : partition,
        ),
      })),
    };
  }
}

/** KIP-467: the records at fault, where the log names them. */
function recordErrorsOf(error: unknown): NonNullable<PartitionResponse['recordErrors']> {
  const { recordErrors = [] } = error as {
    readonly recordErrors?: readonly { readonly index: number; readonly message: string }[];
  };
  return recordErrors.map(({ index, message }) => ({ batchIndex: index, batchIndexErrorMessage: message }));
}

/** Decoding gives one view; its type allows for parts, as encoding does. */
function asOne(records: Uint8Array | readonly Uint8Array[] | null): Uint8Array | null {
  if (records === null || records instanceof Uint8Array) return records;
  return Buffer.concat(records);
}
