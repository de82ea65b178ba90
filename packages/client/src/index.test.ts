import { expect, it } from 'vitest';
import * as bytes from './bytes/index.ts';
import * as root from './index.ts';
import * as rx from './rx/index.ts';
import * as testing from './testing/index.ts';

it('exports these values', () => {
  expect({
    '.': Object.keys(root).toSorted(),
    './bytes': Object.keys(bytes).toSorted(),
    './rx': Object.keys(rx).toSorted(),
    './testing': Object.keys(testing).toSorted(),
  }).toMatchInlineSnapshot(`
    {
      ".": [
        "BrokerNotAvailableError",
        "BufferOverflowError",
        "Client",
        "ClosedError",
        "CommitFailedError",
        "DeliveryTimeoutError",
        "DisconnectedError",
        "InvalidOptionError",
        "InvalidRecordError",
        "InvalidTransactionStateError",
        "KafkaError",
        "MessageTooLargeError",
        "NodeNotAvailableError",
        "OffsetOutOfRangeError",
        "ProducerFencedError",
        "RequestTimedOutError",
        "ResponseTooLargeError",
        "SaslAuthenticationError",
        "TopicMismatchError",
        "TransactionAbortedError",
        "UnknownTopicError",
        "UnsafeIntegerError",
        "UnsupportedVersionError",
        "isMillraceError",
        "partitionForKey",
      ],
      "./bytes": [
        "bytesConsumer",
        "bytesProducer",
        "bytesTransactionalProducer",
        "cooperativeSticky",
        "partitionOf",
        "range",
      ],
      "./rx": [
        "lag$",
        "records$",
      ],
      "./testing": [
        "ClientCaseContext",
        "clientCases",
        "runClientCase",
      ],
    }
  `);
});
