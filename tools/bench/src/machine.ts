import { cpus, totalmem } from 'node:os';

/** One line on what the figures were measured on: without it they say little. */
export function machine(): string {
  const [cpu] = cpus();
  const memoryGiB = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} × ${cpu?.model.trim() ?? 'unknown CPU'}, ${memoryGiB} GiB, ${process.platform}, Node ${process.version}`;
}
