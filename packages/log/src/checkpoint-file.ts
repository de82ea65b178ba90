import type { FileSystem } from '@millrace/platform';
import { CorruptLogError } from './errors.ts';

/**
 * Kafka's checkpoint files: text, a version, a count, then a line of fields per entry. A new version replaces the old one
 * atomically.
 */
export async function writeCheckpoint(
  files: FileSystem,
  path: string,
  entries: readonly (readonly (string | number)[])[],
): Promise<void> {
  const lines = entries.map((entry) => `${entry.join(' ')}\n`).join('');
  await replaceFile(files, path, Buffer.from(`0\n${entries.length}\n${lines}`));
}

/** The entries' fields; undefined: there is no such file. @throws `CorruptLogError` */
export function readCheckpoint(files: FileSystem, path: string): readonly (readonly string[])[] | undefined {
  const bytes = readWhole(files, path);
  if (bytes === undefined) return undefined;
  const lines = Buffer.from(bytes).toString('utf8').split('\n');
  const count = Number(lines[1]);
  if (lines[0] !== '0' || lines[1] === '' || !Number.isSafeInteger(count) || lines.length < count + 2) {
    throw new CorruptLogError(path, 'This is not a checkpoint of version 0, or it is cut short.');
  }
  return lines.slice(2, 2 + count).map((line) => line.split(' '));
}

/** Writes beside, syncs, renames over: after a crash the old or the new content is there, never a mixture. */
export async function replaceFile(files: FileSystem, path: string, bytes: Uint8Array): Promise<void> {
  const next = `${path}.tmp`;
  const file = files.open(next, 'write');
  try {
    file.truncate(0);
    file.writev([bytes], 0);
    await file.datasync();
  } finally {
    file.close();
  }
  files.rename(next, path);
  await files.syncDirectory(path.slice(0, path.lastIndexOf('/')));
}

/** A small file's bytes; undefined: there is none. */
export function readWhole(files: FileSystem, path: string): Uint8Array | undefined {
  if (files.stat(path)?.kind !== 'file') return undefined;
  const file = files.open(path, 'read');
  try {
    const bytes = new Uint8Array(file.size());
    return bytes.subarray(0, file.readSync(bytes, 0));
  } finally {
    file.close();
  }
}
