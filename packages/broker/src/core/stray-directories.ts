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
      const aside = freeName(files, directory, name);
      files.rename(path, aside);
      logger.warn({ directory: path, aside }, 'a partition directory belongs to no topic; it was set aside');
    } else {
      files.remove(path);
      logger.info({ directory: path }, 'an empty partition directory that belongs to no topic was removed');
    }
  }
}

/**
 * One of that name may lie there from another time. Whatever the number, no partition has such a name. A file name has at most
 * 255 bytes: of a long topic the beginning must do.
 */
function freeName(files: FileSystem, directory: string, name: string): string {
  const partition = /-\d{1,10}$/.exec(name)?.[0] ?? '';
  const topic = name.slice(0, name.length - partition.length);
  const numbered = (number: string): string => {
    const rest = `${partition}${number}-stray`;
    let beginning = topic;
    while (Buffer.byteLength(beginning) + rest.length > 255) beginning = beginning.slice(0, -1);
    return `${directory}/${beginning}${rest}`;
  };
  let free = numbered('');
  for (let number = 2; files.stat(free) !== undefined; number++) free = numbered(`.${number}`);
  return free;
}

function hasRecords(files: FileSystem, directory: string): boolean {
  return files
    .list(directory)
    .some((name) => name.endsWith('.log') && (files.stat(`${directory}/${name}`)?.sizeBytes ?? 0) > 0);
}
