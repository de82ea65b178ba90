import { appendFileSync, existsSync, readFileSync } from 'node:fs';

/** Numbers that a writer was told are safe, in a file that outlives it. Written after the acknowledgement, so never too many. */
export function acknowledge(path: string, numbers: readonly number[]): void {
  appendFileSync(path, numbers.map((n) => `${n}\n`).join(''));
}

export function acknowledged(path: string): readonly number[] {
  if (!existsSync(path)) return [];
  // The last line may be torn by a kill: without its newline it was not written whole.
  return readFileSync(path, 'utf8').split('\n').slice(0, -1).map(Number);
}
