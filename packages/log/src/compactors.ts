import { Worker } from 'node:worker_threads';
import type { Clock, FileSystem } from '@millrace/platform';
import { compactSegments, type CompactionOutput, type CompactionTask, type Compactor } from './compaction.ts';
import { KafkaStorageError } from './errors.ts';

/** Kafka's `log.cleaner.dedupe.buffer.size`. */
const defaultDedupeBufferBytes = 134_217_728;

export interface CompactorOptions {
  /** Memory for keys, at 32 bytes each; used as needed. Default 128 MiB. What does not fit waits for the next compaction. */
  readonly dedupeBufferBytes?: number | undefined;
}

/** Compacts in this thread, a segment per turn of the loop: for simulations, and for file systems in memory. */
export function inlineCompactor(files: FileSystem, clock: Clock, options: CompactorOptions = {}): Compactor {
  const dedupeBufferBytes = options.dedupeBufferBytes ?? defaultDedupeBufferBytes;
  const pause = (): Promise<void> => new Promise((resolve) => clock.defer(resolve));
  return {
    run: (task) => compactSegments(files, task, { dedupeBufferBytes, pause }),
    close: () => Promise.resolve(),
  };
}

/** What the thread answers. */
export type WorkerAnswer =
  | { readonly id: number; readonly output: CompactionOutput }
  | { readonly id: number; readonly error: Error; readonly code: string };

export interface WorkerQuestion {
  readonly id: number;
  readonly task: CompactionTask;
  readonly dedupeBufferBytes: number;
}

interface Pending {
  readonly resolve: (output: CompactionOutput) => void;
  readonly reject: (error: Error) => void;
}

/** Compacts in a thread of its own, started with the first compaction, so that the event loop never waits. On the real file system. */
export function workerCompactor(options: CompactorOptions = {}): Compactor {
  return new WorkerCompactor(options.dedupeBufferBytes ?? defaultDedupeBufferBytes);
}

class WorkerCompactor implements Compactor {
  readonly #dedupeBufferBytes: number;
  readonly #pending: Map<number, Pending> = new Map();
  #worker: Worker | undefined;
  #lastId = 0;
  #isClosed = false;

  constructor(dedupeBufferBytes: number) {
    this.#dedupeBufferBytes = dedupeBufferBytes;
  }

  run(task: CompactionTask): Promise<CompactionOutput> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(closed());
      const id = ++this.#lastId;
      this.#pending.set(id, { resolve, reject });
      const question: WorkerQuestion = { id, task, dedupeBufferBytes: this.#dedupeBufferBytes };
      this.#start().postMessage(question);
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const worker = this.#worker;
    this.#worker = undefined;
    this.#failAll(closed());
    await worker?.terminate();
  }

  #start(): Worker {
    if (this.#worker !== undefined) {
      this.#worker.ref();
      return this.#worker;
    }
    // Without execArgv the thread would inherit conditions that lead to TypeScript sources.
    const worker = new Worker(new URL(import.meta.resolve('#compaction-worker')), { execArgv: [] });
    worker.on('message', (answer: WorkerAnswer) => this.#answered(worker, answer));
    worker.on('error', (error) => this.#ended(worker, error));
    worker.on('exit', () => this.#ended(worker, closed()));
    this.#worker = worker;
    return worker;
  }

  #answered(worker: Worker, answer: WorkerAnswer): void {
    const pending = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    if (this.#pending.size === 0) worker.unref(); // an idle thread keeps no process alive
    if ('output' in answer) pending?.resolve(answer.output);
    else {
      const context = { code: answer.code };
      pending?.reject(new KafkaStorageError(`Compaction failed: ${answer.error.message}`, context, answer.error));
    }
  }

  #ended(worker: Worker, error: Error): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    this.#failAll(error);
  }

  #failAll(error: Error): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject } of pending) reject(error);
  }
}

function closed(): KafkaStorageError {
  return new KafkaStorageError('The compactor was closed before the compaction was done: the log is as it was.', {});
}
