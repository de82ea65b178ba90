import { fanOut, type Receiver } from '../nodes/receiver.ts';
import type { ObservedRecord } from './ports.ts';
import type { CurrentRecord } from './record-context.ts';

/** A point of the plan: passes on what a node makes, and can be looked at. */
export class Output implements Receiver {
  readonly #next: Receiver;
  readonly #record: CurrentRecord;
  #observer: ((record: ObservedRecord) => void) | null = null;

  constructor(receivers: readonly Receiver[], record: CurrentRecord) {
    this.#next = fanOut(receivers);
    this.#record = record;
  }

  observe(observer: (record: ObservedRecord) => void): void {
    this.#observer = observer;
  }

  receive(key: unknown, value: unknown, oldValue: unknown): void {
    if (this.#observer !== null) {
      const { topic, partition, offset, timestampMs, headers } = this.#record;
      this.#observer({ topic, partition, offset, timestampMs, key, value, headers });
    }
    this.#next.receive(key, value, oldValue);
  }
}
