import { ClosedError } from '../errors.ts';

/** Waits for `work`, but not when `signal` aborts: then nobody hears of it any more. @throws `CLOSED` */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new ClosedError(what));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    const settled = (): void => signal.removeEventListener('abort', abort);
    work.finally(settled).then(resolve, reject);
  });
}
