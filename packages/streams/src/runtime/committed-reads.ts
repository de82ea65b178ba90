/** Reads of stores that wait until these hold what is committed and nothing else. */
export class CommittedReads {
  #waiting: (() => void)[] = [];

  /** Runs at once, or at the next `release`. */
  run<T>(isCommitted: boolean, read: () => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const run = (): void => {
        try {
          resolve(read());
        } catch (error) {
          reject(error as Error);
        }
      };
      if (isCommitted) run();
      else this.#waiting.push(run);
    });
  }

  /** All is committed, or nobody will any more. */
  release(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const run of waiting) run();
  }
}
