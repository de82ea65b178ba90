import { Observable, Subject } from 'rxjs';
import type { ObservedChange, ObservedRecord } from '../task/ports.ts';
import type { StreamTask } from '../task/task-port.ts';

/** So many events of one point are kept until their commit; of more, the latest. */
const maxPending = 10_000;

/**
 * What passes points of the plan, told after the commit: an aborted transaction was never there. Nothing is observed before
 * somebody subscribes. To look at, not to build on: a listener that is slow holds up the loop, so the number of events is bounded.
 */
export class Observations {
  readonly #points = new Map<string, Point<any>>();
  readonly #tasks: () => Iterable<StreamTask>;

  /** @param tasks those that are open; later ones are given to `watch` */
  constructor(tasks: () => Iterable<StreamTask>) {
    this.#tasks = tasks;
  }

  /** Records that pass a node. */
  records$(nodeName: string): Observable<ObservedRecord> {
    return this.#observe<ObservedRecord>(nodeName);
  }

  /** Changes of a store. */
  changes$(storeName: string): Observable<ObservedChange> {
    return this.#observe<ObservedChange>(storeName);
  }

  /** A task has been made: it reports what is observed already. */
  watch(task: StreamTask): void {
    for (const name of this.#points.keys()) task.observe(name);
  }

  readonly onEvent = (name: string, event: ObservedRecord | ObservedChange): void => {
    this.#points.get(name)?.add(event);
  };

  /** What was reported is committed. */
  committed(): void {
    for (const point of this.#points.values()) point.emit();
  }

  /** It is not, and comes again. */
  rolledBack(): void {
    for (const point of this.#points.values()) point.drop();
  }

  /** Nothing more will come. */
  complete(): void {
    for (const point of this.#points.values()) point.subject.complete();
  }

  #observe<T>(name: string): Observable<T> {
    return new Observable<T>((subscriber) => {
      let point = this.#points.get(name) as Point<T> | undefined;
      if (point === undefined) {
        point = new Point<T>();
        this.#points.set(name, point);
        for (const task of this.#tasks()) task.observe(name);
      }
      return point.subject.subscribe(subscriber);
    });
  }
}

class Point<T> {
  readonly subject = new Subject<T>();
  #pending: T[] = [];

  add(event: T): void {
    if (!this.subject.observed) return;
    if (this.#pending.length >= 2 * maxPending) this.#pending = this.#pending.slice(-maxPending);
    this.#pending.push(event);
  }

  emit(): void {
    if (this.#pending.length === 0) return;
    const events = this.#pending.slice(-maxPending);
    this.#pending = [];
    for (const event of events) this.subject.next(event);
  }

  drop(): void {
    this.#pending = [];
  }
}
