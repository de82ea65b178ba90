import type { FileLock, FileSystem } from '@millrace/platform';
import { DataDirectoryLockedError } from './core/errors.ts';

const lockName = '.lock';
/** Kafka's name: a broker that finds it skips recovery. */
const cleanShutdownName = '.kafka_cleanshutdown';
/** Far more than a mark has. */
const longestMarkBytes = 4096;

/** The directory of a broker, held by one broker at a time. */
export class DataDirectory {
  readonly path: string;
  /** The broker epoch that the last clean close wrote; undefined: the last stop was none. */
  readonly closedCleanlyAt: number | undefined;
  readonly #files: FileSystem;
  readonly #lock: FileLock;

  private constructor(path: string, files: FileSystem, lock: FileLock, closedCleanlyAt: number | undefined) {
    this.path = path;
    this.#files = files;
    this.#lock = lock;
    this.closedCleanlyAt = closedCleanlyAt;
  }

  /**
   * Makes the directory if it is missing, and locks it. The mark of a clean close is read and removed, durably, before anything is
   * written: a crash from here on must lead to recovery.
   * @throws {DataDirectoryLockedError}; `FileSystemError` for a directory that cannot be written
   */
  static async open(path: string, files: FileSystem): Promise<DataDirectory> {
    await makeDurableDirectory(files, path);
    const lock = files.lock(`${path}/${lockName}`);
    if (lock === undefined) throw new DataDirectoryLockedError(path);
    try {
      const mark = readMark(files, `${path}/${cleanShutdownName}`);
      if (mark.exists) {
        files.remove(`${path}/${cleanShutdownName}`);
        await files.syncDirectory(path);
      }
      return new DataDirectory(path, files, lock, mark.brokerEpoch);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** Everything is on disk: the next start need not recover. */
  async markClean(brokerEpoch: number): Promise<void> {
    const file = this.#files.open(`${this.path}/${cleanShutdownName}`, 'write');
    try {
      file.truncate(0);
      file.writev([Buffer.from(JSON.stringify({ version: 0, brokerEpoch }))], 0);
      await file.datasync();
    } finally {
      file.close();
    }
    await this.#files.syncDirectory(this.path);
  }

  release(): void {
    this.#lock.release();
  }
}

/** What lies in a directory is lost with its name: the names of those that were missing are made durable, top down. */
async function makeDurableDirectory(files: FileSystem, path: string): Promise<void> {
  const missing: string[] = [];
  for (let at = path; at !== '' && files.stat(at) === undefined; at = parentOf(at)) missing.unshift(at);
  files.makeDirectory(path);
  for (const made of missing) await files.syncDirectory(parentOf(made) === '' ? '.' : parentOf(made));
}

/** `/` above `/data`, and nothing above `data`. */
function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash === 0 && path.length > 1 ? '/' : path.slice(0, Math.max(0, slash));
}

/** A mark that cannot be read vouches for nothing. */
function readMark(
  files: FileSystem,
  path: string,
): { readonly exists: boolean; readonly brokerEpoch: number | undefined } {
  const stat = files.stat(path);
  if (stat === undefined) return { exists: false, brokerEpoch: undefined };
  const file = files.open(path, 'read');
  const bytes = Buffer.alloc(Math.min(stat.sizeBytes, longestMarkBytes));
  try {
    file.readSync(bytes, 0);
  } finally {
    file.close();
  }
  const match = /"brokerEpoch":\s*(\d+)/.exec(bytes.toString('utf8'));
  return { exists: true, brokerEpoch: match === null ? undefined : Number(match[1]) };
}
