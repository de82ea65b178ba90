import { attributesOf, type BatchHeader } from '@millrace/protocol';
import type { EndMarker } from './producer-state.ts';
import type { AbortedTransactionEntry } from './txn-index.ts';

/**
 * Follows transactions through one pass of compaction. Records of aborted ones go. A marker may go only when no batch of its
 * transaction is left in the log, or what is left would be taken for part of the producer's next one.
 */
export class CleanedTransactions {
  readonly #aborted: Map<number, AbortedTransactionEntry[]> = new Map();
  readonly #seenAborted: Set<AbortedTransactionEntry> = new Set();
  /** Producers with batches, in this pass, of a transaction that was not aborted and whose marker is yet to come. */
  readonly #seenCommitted: Set<number> = new Set();

  constructor(aborted: readonly AbortedTransactionEntry[]) {
    for (const entry of aborted) {
      const entries = this.#aborted.get(entry.producerId);
      if (entries === undefined) this.#aborted.set(entry.producerId, [entry]);
      else entries.push(entry);
    }
  }

  /** Whether a batch of records belongs to an aborted transaction. */
  isAborted(header: BatchHeader): boolean {
    return this.#abortOf(header) !== undefined;
  }

  /** The same, and remembers that the transaction had a batch. */
  sawBatch(header: BatchHeader): boolean {
    if (!attributesOf.isTransactional(header.attributes)) return false;
    const abort = this.#abortOf(header);
    if (abort === undefined) this.#seenCommitted.add(header.producerId);
    else this.#seenAborted.add(abort);
    return abort !== undefined;
  }

  /** Whether a marker's transaction has no batch left; and the index entry to keep where an aborted one has. */
  sawMarker(
    header: BatchHeader,
    marker: EndMarker,
  ): { readonly isUnused: boolean; readonly aborted: AbortedTransactionEntry | undefined } {
    if (marker.isCommit) return { isUnused: !this.#seenCommitted.delete(header.producerId), aborted: undefined };
    const abort = this.#abortOf(header);
    if (abort === undefined || !this.#seenAborted.has(abort)) return { isUnused: true, aborted: undefined };
    return { isUnused: false, aborted: abort };
  }

  #abortOf(header: BatchHeader): AbortedTransactionEntry | undefined {
    if (!attributesOf.isTransactional(header.attributes)) return undefined;
    return this.#aborted
      .get(header.producerId)
      ?.find((entry) => entry.firstOffset <= header.baseOffset && header.baseOffset <= entry.lastOffset);
  }
}
