import type { FileSystem } from '@millrace/platform';
import { scanBatches } from './batch-scan.ts';
import { offsetOfFileName, suffixes } from './file-names.ts';
import { renameFiles, Segment, segmentSuffixes } from './segment.ts';

/**
 * Puts a cleaned segment in the place of its sources. Each step is durable before the next begins, so that after a crash
 * `finishSwaps` knows what to do. Gives the sources' files, renamed, to be removed.
 * @param replace called when the new files have their names: from here on readers are to use them
 */
export async function swapIn(
  files: FileSystem,
  directory: string,
  cleaned: { readonly baseOffset: number; readonly sources: readonly Segment[] },
  replace: (target: Segment) => void,
): Promise<string[]> {
  const target = Segment.existing(files, directory, cleaned.baseOffset);
  renameFiles(files, target, segmentSuffixes, suffixes.cleaned, suffixes.swap);
  await files.syncDirectory(directory);
  const deleted: string[] = [];
  for (const source of cleaned.sources) {
    // Readers go on with what they have open until the new files are in place.
    source.pin();
    deleted.push(...renameFiles(files, source, segmentSuffixes, '', suffixes.deleted));
  }
  await files.syncDirectory(directory);
  renameFiles(files, target, segmentSuffixes, suffixes.swap, '');
  replace(Segment.existing(files, directory, cleaned.baseOffset));
  await files.syncDirectory(directory);
  return deleted;
}

/** Removes what a compaction has left that will not be used: all, or one segment's. */
export function dropCleaned(files: FileSystem, directory: string, baseOffset?: number): void {
  for (const name of files.list(directory)) {
    if (!name.endsWith(suffixes.cleaned)) continue;
    if (baseOffset === undefined || offsetOfFileName(name) === baseOffset) files.remove(`${directory}/${name}`);
  }
}

/**
 * Brings a compaction that a crash interrupted to its end, or undoes it. A compaction writes `.cleaned` files, renames them
 * to `.swap` once they are durable, renames what they replace to `.deleted`, then drops `.swap`; the directory is synced
 * between these steps. So as long as a `.cleaned` is left, nothing of the old was touched and the new is dropped; with
 * `.swap` alone the new is whole, and takes its place.
 */
export async function finishSwaps(files: FileSystem, directory: string): Promise<void> {
  const names = files.list(directory).filter((name) => offsetOfFileName(name) !== undefined);
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

  const isSegmentFile = (name: string): boolean => segmentSuffixes.some((suffix) => name.endsWith(suffix));
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
