import assert from 'node:assert/strict';
import { parentPort } from 'node:worker_threads';
import { isMillraceError, nodeFileSystem } from '@millrace/platform';
import { compactSegments } from './compaction.ts';
import type { WorkerAnswer, WorkerQuestion } from './compactors.ts';

/** The thread behind `workerCompactor`: one compaction after the other. */
assert(parentPort !== null, 'this runs in a worker thread');
const port = parentPort;
const files = nodeFileSystem();
let last: Promise<void> = Promise.resolve();
port.on('message', (question: WorkerQuestion) => {
  last = last.then(async () => port.postMessage(await answer(question)));
});

async function answer({ id, task, dedupeBufferBytes }: WorkerQuestion): Promise<WorkerAnswer> {
  try {
    return { id, output: await compactSegments(files, task, { dedupeBufferBytes }) };
  } catch (error) {
    const code = isMillraceError(error) ? error.code : 'UNKNOWN';
    return { id, code, error: error instanceof Error ? new Error(error.message) : new Error(String(error)) };
  }
}
