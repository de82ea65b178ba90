import type { FileSystem, Logger } from '@millrace/platform';

/**
 * Clears partition directories that no topic owns. One without records was made for a topic whose creation a crash interrupted: it
 * goes. One with records should not be there (metadata was lost, or somebody copied it here): it is set aside under a name that
 * is never opened, as bytes that somebody wrote are not ours to remove.
 */
export function clearStrays(options: {
  readonly directory: string;
  readonly files: FileSystem;
  readonly logger: Logger;
  readonly expected: ReadonlySet<string>;
}): void {
  const { directory, files, logger, expected } = options;
  for (const name of files.list(directory)) {
    const path = `${directory}/${name}`;
    if (/^.+-\d+\.[0-9a-f-]{36}-delete$/.test(name)) {
      files.remove(path); // a deletion that had begun
      continue;
    }
    if (expected.has(name) || !/^.+-\d+$/.test(name) || files.stat(path)?.kind !== 'directory') continue;
    if (hasRecords(files, path)) {
      const aside = freeName(files, path);
      files.rename(path, aside);
      logger.warn({ directory: path, aside }, 'a partition directory belongs to no topic; it was set aside');
    } else {
      files.remove(path);
      logger.info({ directory: path }, 'an empty partition directory that belongs to no topic was removed');
    }
  }
}

/** One of that name may lie there from another time. Whatever the number, no partition has such a name. */
function freeName(files: FileSystem, path: string): string {
  let free = `${path}-stray`;
  for (let number = 2; files.stat(free) !== undefined; number++) free = `${path}.${number}-stray`;
  return free;
}

function hasRecords(files: FileSystem, directory: string): boolean {
  return files
    .list(directory)
    .some((name) => name.endsWith('.log') && (files.stat(`${directory}/${name}`)?.sizeBytes ?? 0) > 0);
}
