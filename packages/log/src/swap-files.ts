import type { FileSystem } from '@millrace/platform';
import { scanBatches } from './batch-scan.ts';
import { offsetOfFileName, suffixes } from './file-names.ts';

/**
 * Brings a compaction that a crash interrupted to its end, or undoes it. A compaction writes `.cleaned` files, renames them
 * to `.swap` once they are durable, renames what they replace to `.deleted`, then drops `.swap`; the directory is synced
 * between these steps. So as long as a `.cleaned` is left, nothing of the old was touched and the new is dropped; with
 * `.swap` alone the new is whole, and takes its place.
 */
export async function finishSwaps(files: FileSystem, directory: string): Promise<void> {
  const names = files.list(directory);
  const remove = (name: string): void => files.remove(`${directory}/${name}`);
  const cleaned = names.filter((name) => name.endsWith(suffixes.cleaned));
  const firstCleaned = Math.min(...cleaned.map((name) => offsetOfFileName(name) ?? 0), Infinity);
  let swaps = names.filter((name) => name.endsWith(suffixes.swap));
  let hasChanged = false;
  const undone = swaps.filter((name) => (offsetOfFileName(name) ?? 0) >= firstCleaned);
  for (const name of [...names.filter((other) => other.endsWith(suffixes.deleted)), ...undone, ...cleaned]) {
    remove(name);
    hasChanged = true;
  }
  swaps = swaps.filter((name) => !undone.includes(name));

  const isSegmentFile = (name: string): boolean =>
    [suffixes.log, suffixes.offsetIndex, suffixes.timeIndex, suffixes.txnIndex].some((suffix) => name.endsWith(suffix));
  for (const swap of swaps.filter((name) => name.endsWith(`${suffixes.log}${suffixes.swap}`))) {
    const from = offsetOfFileName(swap)!;
    const to = await endOffsetOf(files, `${directory}/${swap}`, from);
    for (const name of files.list(directory)) {
      const base = offsetOfFileName(name);
      if (base !== undefined && base >= from && base < to && isSegmentFile(name)) remove(name);
    }
  }
  if (swaps.length > 0) await files.syncDirectory(directory);
  for (const swap of swaps) {
    files.rename(`${directory}/${swap}`, `${directory}/${swap.slice(0, -suffixes.swap.length)}`);
    hasChanged = true;
  }
  if (hasChanged) await files.syncDirectory(directory);
}

async function endOffsetOf(files: FileSystem, path: string, baseOffset: number): Promise<number> {
  const file = files.open(path, 'read');
  try {
    let endOffset = baseOffset;
    await scanBatches(file, { from: 0, to: file.size(), checksCrc: false }, ({ header }) => {
      endOffset = header.baseOffset + header.lastOffsetDelta + 1;
    });
    return Math.max(endOffset, baseOffset + 1);
  } finally {
    file.close();
  }
}
