import type { FileSystem } from '@millrace/platform';
import { CorruptLogError } from './errors.ts';

/** A small file's whole new content. */
export interface FileContent {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** Kafka's checkpoint files: text, a version, a count, then a line of fields per entry. */
export function checkpoint(path: string, entries: readonly (readonly (string | number)[])[]): FileContent {
  const lines = entries.map((entry) => `${entry.join(' ')}\n`).join('');
  return { path, bytes: Buffer.from(`0\n${entries.length}\n${lines}`) };
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

/**
 * Writes beside, syncs, renames over: after a crash each file has its old or its new content, never a mixture. All are in
 * one directory, which is synced once.
 */
export async function replaceFiles(
  files: FileSystem,
  directory: string,
  contents: readonly FileContent[],
): Promise<void> {
  await Promise.all(contents.map((content) => writeDurably(files, `${content.path}.tmp`, content.bytes)));
  for (const { path } of contents) files.rename(`${path}.tmp`, path);
  await files.syncDirectory(directory);
}

/** Writes a file's whole content, and makes it durable; its name is not. */
export async function writeDurably(files: FileSystem, path: string, bytes: Uint8Array): Promise<void> {
  const file = files.open(path, 'write');
  try {
    file.truncate(0);
    file.writev([bytes], 0);
    await file.datasync();
  } finally {
    file.close();
  }
}

/** Makes a file's content durable, if there is such a file. */
export async function syncIfThere(files: FileSystem, path: string): Promise<void> {
  if (files.stat(path) === undefined) return;
  const file = files.open(path, 'write');
  try {
    await file.datasync();
  } finally {
    file.close();
  }
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
