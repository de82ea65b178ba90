import type { Clock, FileSystem } from '@millrace/platform';

/** Another file system, whose log files that are open are known, and whose reads may take time. */
export interface WatchedFiles {
  readonly files: FileSystem;
  /** Names of the log files that are open now, one for each opening. */
  readonly openLogs: () => readonly string[];
}

export function watchedFiles(
  inner: FileSystem,
  slowReads?: { readonly clock: Clock; readonly readLatencyMs: number },
): WatchedFiles {
  const open: string[] = [];
  const files: FileSystem = {
    open(path, mode) {
      const file = inner.open(path, mode);
      open.push(path);
      return {
        path,
        size: () => file.size(),
        writev: (parts, position) => file.writev(parts, position),
        readSync: (into, position) => file.readSync(into, position),
        truncate: (length) => file.truncate(length),
        datasync: () => file.datasync(),
        async read(into, position) {
          if (slowReads !== undefined) {
            const { clock, readLatencyMs } = slowReads;
            await new Promise<void>((resolve) => void clock.after(readLatencyMs, resolve));
          }
          return file.read(into, position);
        },
        close() {
          file.close();
          open.splice(open.indexOf(path), 1);
        },
      };
    },
    makeDirectory: (path) => inner.makeDirectory(path),
    list: (directory) => inner.list(directory),
    stat: (path) => inner.stat(path),
    rename: (from, to) => inner.rename(from, to),
    remove: (path) => inner.remove(path),
    syncDirectory: (directory) => inner.syncDirectory(directory),
    lock: (path) => inner.lock(path),
  };
  const openLogs = (): string[] =>
    open.filter((path) => path.endsWith('.log')).map((path) => path.slice(path.lastIndexOf('/') + 1));
  return { files, openLogs };
}
