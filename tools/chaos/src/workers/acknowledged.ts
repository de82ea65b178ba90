import { appendFileSync, existsSync, readFileSync } from 'node:fs';

/** What a writer was told is safe, in a file that outlives it. Written after the acknowledgement, so never too much. */
export function acknowledge(path: string, entries: readonly (number | string)[]): void {
  appendFileSync(path, entries.map((entry) => `${entry}\n`).join(''));
}

export function acknowledged(path: string): readonly string[] {
  if (!existsSync(path)) return [];
  // The last line may be torn by a kill: without its newline it was not written whole.
  return readFileSync(path, 'utf8').split('\n').slice(0, -1);
}
