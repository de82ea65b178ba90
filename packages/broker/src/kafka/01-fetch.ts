import type { PartitionLog } from '@millrace/log';
import { apis, type RequestOf, type ResponseInput } from '@millrace/protocol';
import type { FetchPosition, FetchResult } from '../core/fetcher.ts';
import type { Topic } from '../core/partitions.ts';
import { errorCodeOf, errorCodes } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';
import type { KafkaServices } from './kafka-services.ts';
import { checkLeaderEpoch } from './leader-epoch.ts';

type Request = RequestOf<typeof apis.fetch>;
type RequestedTopic = Request['topics'][number];
type RequestedPartition = RequestedTopic['partitions'][number];
type Response = ResponseInput<typeof apis.fetch>;
type PartitionResponse = NonNullable<NonNullable<Response['responses']>[number]['partitions']>[number];

const firstVersionWithTopicIds = 13;
const readCommitted = 1;
const noRecords: readonly Uint8Array[] = [];

/**
 * Fetch. Versions before 4 could carry only message formats that no log holds. Sessions (KIP-227) are not kept: id 0 tells the
 * client to send its partitions in full each time, which every client does then.
 */
export function fetch(services: KafkaServices): Handler {
  return handlerOf(apis.fetch, [4, 17], (request, context) => {
    // Only what we never gave out can be continued here.
    if (request.sessionId !== 0 && request.sessionEpoch > 0) {
      return { errorCode: errorCodes.FETCH_SESSION_ID_NOT_FOUND };
    }
    const call = new FetchCall(services, request, context.apiVersion);
    const maxBytes = Math.min(request.maxBytes, services.config['fetch.max.bytes']);
    const results = services.fetcher.fetch(
      {
        positions: call.positions,
        isolation: request.isolationLevel === readCommitted ? 'read_committed' : 'read_uncommitted',
        maxBytes,
        minBytes: Math.min(request.minBytes, maxBytes), // more than may come is not waited for
        maxWaitMs: call.mustAnswerNow ? 0 : request.maxWaitMs,
      },
      (cancel) => context.connection.onClose(cancel),
    );
    return results instanceof Promise ? results.then((settled) => call.respond(settled)) : call.respond(results);
  });
}

/** A request's partitions: those that can be read have a position, the others their answer already. */
class FetchCall {
  readonly positions: FetchPosition[] = [];
  /** An error, or news of a log that was cut back, does not wait. */
  mustAnswerNow = false;
  readonly #services: KafkaServices;
  readonly #request: Request;
  readonly #byId: boolean;
  /** In the order of the request, over all topics: an answer, or null for the next position's. */
  readonly #answers: (PartitionResponse | null)[] = [];

  constructor(services: KafkaServices, request: Request, version: number) {
    this.#services = services;
    this.#request = request;
    this.#byId = version >= firstVersionWithTopicIds;
    for (const wanted of request.topics) {
      const topic = this.#topicOf(wanted);
      for (const partition of wanted.partitions) {
        const answer = this.#place(topic, partition);
        if (answer !== null) this.mustAnswerNow = true;
        this.#answers.push(answer);
      }
    }
  }

  respond(results: readonly FetchResult[]): Response {
    let next = 0;
    let position = 0;
    return {
      responses: this.#request.topics.map((wanted) => ({
        topic: wanted.topic,
        topicId: wanted.topicId,
        partitions: wanted.partitions.map(
          ({ partition }) => this.#answers[next++] ?? this.#answerOf(wanted, partition, results[position++]),
        ),
      })),
    };
  }

  #topicOf(wanted: RequestedTopic): Topic | undefined {
    const { topics } = this.#services;
    return this.#byId ? topics.topicById(wanted.topicId) : topics.topic(wanted.topic);
  }

  #place(topic: Topic | undefined, wanted: RequestedPartition): PartitionResponse | null {
    const partitionIndex = wanted.partition;
    const log = topic?.logs[partitionIndex];
    if (log === undefined) return failure(partitionIndex, this.#unknown(topic));
    const epochError = checkLeaderEpoch(log, wanted.currentLeaderEpoch);
    if (epochError !== errorCodes.NONE) return failure(partitionIndex, epochError);
    const divergence = wanted.lastFetchedEpoch < 0 ? null : diverging(log, wanted);
    if (divergence !== null) return divergence;
    this.positions.push({ log, offset: wanted.fetchOffset, maxBytes: wanted.partitionMaxBytes });
    return null;
  }

  #unknown(topic: Topic | undefined): number {
    return this.#byId && topic === undefined ? errorCodes.UNKNOWN_TOPIC_ID : errorCodes.UNKNOWN_TOPIC_OR_PARTITION;
  }

  #answerOf(wanted: RequestedTopic, partitionIndex: number, result: FetchResult | undefined): PartitionResponse {
    if (result === undefined) return failure(partitionIndex, errorCodes.UNKNOWN_SERVER_ERROR); // the client has gone
    if (result instanceof Error) {
      // Deleted while the fetch was parked: its log is closed, but that is not what the client must hear.
      const topic = this.#topicOf(wanted);
      if (topic === undefined) return failure(partitionIndex, this.#unknown(topic));
      return failure(partitionIndex, errorCodeOf(result, this.#services.logger));
    }
    return {
      partitionIndex,
      errorCode: errorCodes.NONE,
      highWatermark: result.highWatermark,
      lastStableOffset: result.lastStableOffset,
      logStartOffset: result.logStartOffset,
      abortedTransactions: result.abortedTransactions,
      records: result.parts,
    };
  }
}

/** KIP-595: the client's last epoch ended earlier here than where it wants to go on; it must go back. */
function diverging(log: PartitionLog, wanted: RequestedPartition): PartitionResponse | null {
  if (wanted.lastFetchedEpoch === log.leaderEpoch && wanted.fetchOffset <= log.logEndOffset) return null;
  const { leaderEpoch, endOffset } = log.endOffsetForEpoch(wanted.lastFetchedEpoch);
  if (endOffset === -1) return failure(wanted.partition, errorCodes.OFFSET_OUT_OF_RANGE);
  if (leaderEpoch === wanted.lastFetchedEpoch && endOffset >= wanted.fetchOffset) return null;
  return {
    partitionIndex: wanted.partition,
    errorCode: errorCodes.NONE,
    highWatermark: log.highWatermark,
    lastStableOffset: log.lastStableOffset,
    logStartOffset: log.logStartOffset,
    divergingEpoch: { epoch: leaderEpoch, endOffset },
    abortedTransactions: null,
    records: noRecords,
  };
}

function failure(partitionIndex: number, errorCode: number): PartitionResponse {
  return { partitionIndex, errorCode, highWatermark: -1, abortedTransactions: null, records: noRecords };
}
