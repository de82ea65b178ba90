import { isMillraceError } from '@millrace/platform';

export interface WorkerOptions {
  readonly address: string;
  readonly acknowledgedFile: string;
}

export function workerOptions<T = WorkerOptions>(): T {
  return JSON.parse(process.argv[2]!) as T;
}

/** Until SIGTERM. A fenced or fatal producer ends the process: its supervisor starts it again. */
export async function runWorker(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const stopping = new AbortController();
  process.once('SIGTERM', () => stopping.abort());
  try {
    await work(stopping.signal);
    process.exit(0);
  } catch (error) {
    process.stderr.write(`${isMillraceError(error) ? `${error.code}: ${error.message}` : String(error)}\n`);
    process.exit(1);
  }
}
