/** How an app ends, for those who wait for it. A failure that nobody waits for is an unhandled rejection, on purpose. */
export class Outcome {
  readonly #running = promiseOf<void>();
  readonly #done = promiseOf<void>();
  #isRunningAwaited = false;
  #isRunning = false;

  get running(): Promise<void> {
    this.#isRunningAwaited = true;
    return this.#running.promise;
  }

  get done(): Promise<void> {
    return this.#done.promise;
  }

  ran(): void {
    this.#isRunning = true;
    this.#running.resolve();
  }

  /** @param notRunning what `running` rejects with, if the app never ran */
  closed(notRunning: Error): void {
    this.#running.promise.catch(() => undefined); // closing is no failure, so nobody has to listen
    this.#running.reject(notRunning);
    this.#done.resolve();
  }

  failed(error: Error): void {
    // One of the two is enough: who waits for `running` hears of a failure before it.
    if (!this.#isRunning && this.#isRunningAwaited) this.#done.promise.catch(() => undefined);
    else this.#running.promise.catch(() => undefined);
    this.#running.reject(error);
    this.#done.reject(error);
  }
}

function promiseOf<T>(): {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
} {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((accept, refuse) => {
    resolve = accept;
    reject = refuse;
  });
  return { promise, resolve, reject };
}
