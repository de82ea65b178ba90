import type { Logger } from '@millrace/platform';
import { apis } from '@millrace/protocol';
import type { AddPartitionsRequest, TransactionCoordinator } from '../core/transactions/transaction-coordinator.ts';
import { byTopic } from './by-topic.ts';
import { codeOf, errorCodeOf, errorCodes } from './error-codes.ts';
import { handlerOf, type Handler } from './handler.ts';
import { fencedAsEpoch } from './producer-fenced.ts';

const firstVersionWithFenced = 2;
/** From 4 on a request has several transactions. Made for brokers, but some clients send it where it is offered. */
const firstVersionWithTransactions = 4;

interface TopicsToAdd {
  readonly name: string;
  readonly partitions: readonly number[];
}
interface TopicResult {
  name: string;
  resultsByPartition: { partitionIndex: number; partitionErrorCode: number }[];
}

/** AddPartitionsToTxn. An error of the whole transaction stands at each of its partitions. */
export function addPartitionsToTxn(transactions: TransactionCoordinator, logger: Logger): Handler {
  const add = async (
    transaction: Omit<AddPartitionsRequest, 'partitions'>,
    topics: readonly TopicsToAdd[],
    options: { readonly verifyOnly: boolean; readonly hasFenced: boolean },
  ): Promise<TopicResult[]> => {
    const partitions = topics.flatMap(({ name, partitions: numbers }) =>
      numbers.map((partition) => ({ topic: name, partition })),
    );
    const request = { ...transaction, partitions };
    try {
      const results = options.verifyOnly
        ? partitions.map((each) => ({ ...each, error: transactions.verifyPartition({ ...transaction, ...each }) }))
        : await transactions.addPartitions(request);
      return resultsOf(results, ({ error }) => (options.hasFenced ? codeOf(error) : fencedAsEpoch(codeOf(error))));
    } catch (error) {
      const errorCode = errorCodeOf(error, logger);
      return resultsOf(partitions, () => errorCode);
    }
  };
  return handlerOf(apis.addPartitionsToTxn, [0, 5], async (request, { apiVersion }) => {
    if (apiVersion < firstVersionWithTransactions) {
      const transaction = {
        transactionalId: request.v3AndBelowTransactionalId,
        producerId: request.v3AndBelowProducerId,
        producerEpoch: request.v3AndBelowProducerEpoch,
      };
      const hasFenced = apiVersion >= firstVersionWithFenced;
      const options = { verifyOnly: false, hasFenced };
      return { resultsByTopicV3AndBelow: await add(transaction, request.v3AndBelowTopics, options) };
    }
    return {
      errorCode: errorCodes.NONE,
      resultsByTransaction: await Promise.all(
        request.transactions.map(async ({ transactionalId, producerId, producerEpoch, verifyOnly, topics }) => ({
          transactionalId,
          topicResults: await add({ transactionalId, producerId, producerEpoch }, topics, {
            verifyOnly,
            hasFenced: true,
          }),
        })),
      ),
    };
  });
}

function resultsOf<T extends { readonly topic: string; readonly partition: number }>(
  items: readonly T[],
  errorCodeOfItem: (item: T) => number,
): TopicResult[] {
  return byTopic(items, (item) => ({
    partitionIndex: item.partition,
    partitionErrorCode: errorCodeOfItem(item),
  })).map(({ name, partitions }) => ({ name, resultsByPartition: partitions }));
}
