import type { ErrorName } from '../errors.ts';

/**
 *     Empty ──▶ Ongoing ──▶ PrepareCommit ──▶ CompleteCommit ──▶ (Ongoing, Empty, gone)
 *       ▲          └──────▶ PrepareAbort  ──▶ CompleteAbort  ──▶ (Ongoing, Empty, gone)
 *       └── InitProducerId ───────────────────────┘
 *
 * Once Prepare is durable the outcome is settled: what is left is to write it to every partition, after a crash too.
 */
export type TransactionState =
  | 'Empty'
  | 'Ongoing'
  | 'PrepareCommit'
  | 'PrepareAbort'
  | 'CompleteCommit'
  | 'CompleteAbort';

/** By topic, partition numbers. */
export type PartitionSet = ReadonlyMap<string, ReadonlySet<number>>;

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/** A transactional id: who may write under it, and what it has written to. Never changed, but replaced. */
export interface Transaction {
  readonly transactionalId: string;
  readonly producerId: number;
  /** Before the present one, whose epochs ran out; −1: none. */
  readonly previousProducerId: number;
  readonly producerEpoch: number;
  /** What a retry of the last InitProducerId would carry (KIP-360); −1: none. Not stored, as in Kafka. */
  readonly lastProducerEpoch: number;
  readonly timeoutMs: number;
  readonly state: TransactionState;
  readonly partitions: PartitionSet;
  /** −1: none has begun. */
  readonly startTimestampMs: number;
  readonly lastUpdateTimestampMs: number;
}

export interface ProducerIdentity {
  readonly producerId: number;
  readonly producerEpoch: number;
}

/** The next state, or Kafka's name for why there is none. */
export type Transition = { readonly next: Transaction } | { readonly error: ErrorName };

const noPartitions: PartitionSet = new Map();

/** Epochs have 16 bits. The last is kept for fencing the last but one. */
const lastUsableEpoch = 32_766;

export function isEpochExhausted(producerEpoch: number): boolean {
  return producerEpoch >= lastUsableEpoch;
}

export type InitTransition =
  | Transition
  /** The open transaction must be aborted first; this is its abort, which fences the present epoch. */
  | { readonly fence: Transaction }
  | 'needs a producer id';

/**
 * A producer begins, or goes on after an error (`expected`: what it has now, KIP-360).
 * @param current undefined: the transactional id is new
 * @param freshProducerId null: none was taken yet; asked for where one is needed
 */
export function initProducer(
  current: Transaction | undefined,
  request: {
    readonly transactionalId: string;
    readonly timeoutMs: number;
    readonly expected: ProducerIdentity | null;
  },
  freshProducerId: number | null,
  nowMs: number,
): InitTransition {
  const { transactionalId, timeoutMs, expected } = request;
  const begun = { transactionalId, timeoutMs, state: 'Empty', partitions: noPartitions, startTimestampMs: -1 } as const;
  if (current === undefined) {
    if (freshProducerId === null) return 'needs a producer id';
    const identity = { producerId: freshProducerId, previousProducerId: -1, producerEpoch: 0, lastProducerEpoch: -1 };
    return { next: { ...begun, ...identity, lastUpdateTimestampMs: nowMs } };
  }
  if (expected !== null && !isKnownProducerId(current, expected)) return { error: 'PRODUCER_FENCED' };
  switch (current.state) {
    case 'PrepareCommit':
    case 'PrepareAbort':
      return { error: 'CONCURRENT_TRANSACTIONS' };
    case 'Ongoing':
      // A zombie may only abort what is its own. (Kafka lets it abort its successor's transaction, and fences it after.)
      if (expected !== null && validateProducer(current, expected) !== null) return { error: 'PRODUCER_FENCED' };
      return { fence: fence(current, nowMs) };
    case 'Empty':
    case 'CompleteCommit':
    case 'CompleteAbort':
      break;
  }
  const { producerId, previousProducerId, producerEpoch, lastProducerEpoch } = current;
  const next = { ...begun, producerId, previousProducerId, lastUpdateTimestampMs: nowMs };
  if (expected !== null && expected.producerEpoch !== producerEpoch) {
    // Either it did not hear the answer to its last request, or another producer has begun since.
    if (expected.producerEpoch !== lastProducerEpoch) return { error: 'PRODUCER_FENCED' };
    return { next: { ...next, producerEpoch, lastProducerEpoch } };
  }
  // A producer that knows no epoch fences all others: no retry of theirs may pass.
  const epochForRetries = expected === null ? -1 : producerEpoch;
  if (!isEpochExhausted(producerEpoch)) {
    return { next: { ...next, producerEpoch: producerEpoch + 1, lastProducerEpoch: epochForRetries } };
  }
  if (freshProducerId === null) return 'needs a producer id';
  return {
    next: {
      ...next,
      producerId: freshProducerId,
      previousProducerId: producerId,
      producerEpoch: 0,
      lastProducerEpoch: epochForRetries,
    },
  };
}

/** Its own id, or the one whose epochs ran out, in a retry of the request that replaced it. */
function isKnownProducerId(current: Transaction, { producerId, producerEpoch }: ProducerIdentity): boolean {
  return (
    producerId === current.producerId || (producerId === current.previousProducerId && isEpochExhausted(producerEpoch))
  );
}

/** The checks that every request of a producer in a transaction passes, in Kafka's order. */
export function validateProducer(
  current: Transaction | undefined,
  { producerId, producerEpoch }: ProducerIdentity,
): ErrorName | null {
  if (current === undefined || current.producerId !== producerId) return 'INVALID_PRODUCER_ID_MAPPING';
  return current.producerEpoch === producerEpoch ? null : 'PRODUCER_FENCED';
}

/** Opens the transaction, or adds to the open one. The same object back: all were in it already. */
export function addPartitions(
  current: Transaction | undefined,
  producer: ProducerIdentity,
  added: readonly TopicPartition[],
  nowMs: number,
): Transition {
  const error = validateProducer(current, producer);
  if (current === undefined || error !== null) return { error: error ?? 'INVALID_PRODUCER_ID_MAPPING' };
  if (current.state === 'PrepareCommit' || current.state === 'PrepareAbort')
    return { error: 'CONCURRENT_TRANSACTIONS' };
  const isOpen = current.state === 'Ongoing';
  if (isOpen && added.every((each) => hasPartition(current, each.topic, each.partition))) return { next: current };
  const partitions = new Map<string, Set<number>>();
  for (const [topic, numbers] of current.partitions) partitions.set(topic, new Set(numbers));
  for (const { topic, partition } of added) {
    const numbers = partitions.get(topic);
    if (numbers === undefined) partitions.set(topic, new Set([partition]));
    else numbers.add(partition);
  }
  return {
    next: {
      ...current,
      state: 'Ongoing',
      partitions,
      startTimestampMs: isOpen ? current.startTimestampMs : nowMs,
      lastUpdateTimestampMs: nowMs,
    },
  };
}

export function hasPartition(transaction: Transaction, topic: string, partition: number): boolean {
  return transaction.partitions.get(topic)?.has(partition) ?? false;
}

export type EndTransition =
  | Transition
  /** A retry: the transaction ended that way already. */
  | 'already ended';

export function endTransaction(
  current: Transaction | undefined,
  producer: ProducerIdentity,
  isCommit: boolean,
  nowMs: number,
): EndTransition {
  const error = validateProducer(current, producer);
  if (current === undefined || error !== null) return { error: error ?? 'INVALID_PRODUCER_ID_MAPPING' };
  switch (current.state) {
    case 'Ongoing':
      return { next: { ...current, state: isCommit ? 'PrepareCommit' : 'PrepareAbort', lastUpdateTimestampMs: nowMs } };
    case 'CompleteCommit':
      return isCommit ? 'already ended' : { error: 'INVALID_TXN_STATE' };
    case 'CompleteAbort':
      return isCommit ? { error: 'INVALID_TXN_STATE' } : 'already ended';
    case 'PrepareCommit':
      return { error: isCommit ? 'CONCURRENT_TRANSACTIONS' : 'INVALID_TXN_STATE' };
    case 'PrepareAbort':
      return { error: isCommit ? 'INVALID_TXN_STATE' : 'CONCURRENT_TRANSACTIONS' };
    case 'Empty':
      return { error: 'INVALID_TXN_STATE' };
  }
}

/** Aborts an open transaction and fences its producer: neither its epoch nor a retry of it is known any longer. */
export function fence(current: Transaction, nowMs: number): Transaction {
  return {
    ...current,
    state: 'PrepareAbort',
    producerEpoch: current.producerEpoch + 1,
    lastProducerEpoch: -1,
    lastUpdateTimestampMs: nowMs,
  };
}

/** Every partition has its marker. */
export function complete(current: Transaction, nowMs: number): Transaction {
  return {
    ...current,
    state: current.state === 'PrepareCommit' ? 'CompleteCommit' : 'CompleteAbort',
    partitions: noPartitions,
    lastUpdateTimestampMs: nowMs,
  };
}

export function isPrepared({ state }: Transaction): boolean {
  return state === 'PrepareCommit' || state === 'PrepareAbort';
}

export function isTimedOut(transaction: Transaction, nowMs: number): boolean {
  return transaction.state === 'Ongoing' && transaction.startTimestampMs + transaction.timeoutMs < nowMs;
}

/** Unused for so long that it may be forgotten. Never with a transaction under way. */
export function isExpired(transaction: Transaction, nowMs: number, expirationMs: number): boolean {
  if (transaction.state === 'Ongoing' || isPrepared(transaction)) return false;
  return transaction.lastUpdateTimestampMs <= nowMs - expirationMs;
}
