/**
 * Files, passed in, so that a simulated disk can tear and forget.
 *
 * What ends in the page cache is synchronous, since a thread-pool round trip costs more than the call (measured on Node 20:
 * 1.0 GB/s of staged synchronous writes, half of that asynchronously). What waits for the device is a promise.
 *
 * Durability is POSIX's: bytes survive a power cut after `datasync` of their file; a created, renamed or removed name after
 * `syncDirectory` of its directory. Everything fails with a `FileSystemError`.
 */
export interface FileSystem {
  /**
   * Opens a file. `'read'` fails if it is missing; `'write'` makes it, keeps what it holds, and can read too.
   * @throws `FileSystemError` (`ENOENT`, `EACCES`, `EROFS`, `EMFILE`, …)
   */
  open(path: string, mode: 'read' | 'write'): File;
  /** Makes a directory and those above it; one that exists is fine. */
  makeDirectory(path: string): void;
  /** Names in a directory, sorted by code unit. */
  list(directory: string): readonly string[];
  /** undefined: there is nothing of that name. */
  stat(path: string): FileStat | undefined;
  /** Replaces `to` atomically. */
  rename(from: string, to: string): void;
  /** Removes a file, or a directory with all that is in it. What is missing is fine. */
  remove(path: string): void;
  /** Makes names created, renamed and removed in it durable. */
  syncDirectory(directory: string): Promise<void>;
  /**
   * Takes an exclusive lock on a file for as long as the process lives or until it is released. undefined: another holds it.
   */
  lock(path: string): FileLock | undefined;
}

export interface FileStat {
  readonly kind: 'file' | 'directory';
  readonly sizeBytes: number;
  readonly modifiedMs: number;
}

export interface FileLock {
  release(): void;
}

/** An open file. Positions are bytes from its start; there is no cursor. */
export interface File {
  readonly path: string;
  size(): number;
  /** Writes all parts, one after the other, starting at `position`: to the page cache, in one system call where possible. */
  writev(parts: readonly Uint8Array[], position: number): void;
  /** Fills `into` from `position` as far as the file goes; gives the number of bytes. Waits for the device if it must. */
  read(into: Uint8Array, position: number): Promise<number>;
  /** The same at once: for opening and recovery, and for small reads that are most likely cached. */
  readSync(into: Uint8Array, position: number): number;
  /** Cuts the file to `length`, or extends it with zeros. */
  truncate(length: number): void;
  /** Resolves when all that was written before the call would survive a power cut. A failure is final: do not retry (the kernel may have dropped the pages). */
  datasync(): Promise<void>;
  close(): void;
}
