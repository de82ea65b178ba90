import type {
  Clock,
  Connection,
  ConnectOptions,
  File,
  FileLock,
  FileStat,
  FileSystem,
  ListenOptions,
  Network,
  NetworkListener,
  Platform,
} from '@millrace/platform';
import { FileSystemError } from '@millrace/platform';

export class Killed extends Error {
  constructor() {
    super('the process was killed (simulated)');
  }
}

/**
 * A process in the simulation: what it sees of the world stops when it is killed. Its timers never fire again, its promises of
 * the disk never settle, its connections break, and what it still tries to write is refused. (Its objects live on, as garbage.)
 */
export class SimulatedProcess {
  readonly platform: Platform;
  /** Rejects when it is killed. @throws `Killed` */
  readonly killed: Promise<never>;
  #rejectKilled!: (error: Killed) => void;
  #isAlive = true;
  readonly #connections: Set<Connection> = new Set();
  readonly #listeners: Set<NetworkListener> = new Set();

  constructor(world: Platform) {
    this.killed = new Promise((_, reject) => void (this.#rejectKilled = reject));
    this.killed.catch(() => undefined); // who waits for it is told; nobody has to
    this.platform = {
      clock: this.#clock(world.clock),
      random: world.random,
      files: this.#files(world.files),
      network: this.#network(world.network),
    };
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** `kill -9`. The peers of its connections see them break. */
  kill(): void {
    this.#isAlive = false;
    this.#rejectKilled(new Killed());
    for (const listener of this.#listeners) void listener.close();
    for (const connection of this.#connections) connection.destroy(new Killed());
  }

  #clock(clock: Clock): Clock {
    const whileAlive = (task: () => void) => (): void => {
      if (this.#isAlive) task();
    };
    return {
      now: () => clock.now(),
      monotonic: () => clock.monotonic(),
      after: (delayMs, task) => clock.after(delayMs, whileAlive(task)),
      defer: (task) => clock.defer(whileAlive(task)),
    };
  }

  #network(network: Network): Network {
    return {
      listen: async (options: ListenOptions, accept: (connection: Connection) => void): Promise<NetworkListener> => {
        const listener = await network.listen(options, (connection) => {
          if (this.#isAlive) accept(this.#guarded(connection));
          else connection.destroy();
        });
        this.#listeners.add(listener);
        return listener;
      },
      connect: async (options: ConnectOptions): Promise<Connection> => {
        const connection = await this.#alive(network.connect(options));
        return this.#guarded(connection);
      },
    };
  }

  #guarded(connection: Connection): Connection {
    this.#connections.add(connection);
    const isAlive = (): boolean => this.#isAlive;
    const connections = this.#connections;
    return {
      remoteAddress: connection.remoteAddress,
      onData: (listener) => connection.onData((chunk) => isAlive() && listener(chunk)),
      onDrain: (listener) => connection.onDrain(() => isAlive() && listener()),
      onClose: (listener) =>
        connection.onClose((reason) => {
          connections.delete(connection);
          if (isAlive()) listener(reason);
        }),
      write: (parts) => isAlive() && connection.write(parts),
      get bufferedBytes() {
        return connection.bufferedBytes;
      },
      pause: () => connection.pause(),
      resume: () => connection.resume(),
      end: () => isAlive() && connection.end(),
      destroy: (reason) => connection.destroy(reason),
    };
  }

  #files(files: FileSystem): FileSystem {
    const check = (operation: string, path: string): void => {
      if (!this.#isAlive)
        throw new FileSystemError(operation, path, Object.assign(new Error('killed'), { code: 'EIO' }));
    };
    return {
      open: (path, mode) => {
        check('open', path);
        return this.#file(files.open(path, mode));
      },
      makeDirectory: (path) => (check('make directory', path), files.makeDirectory(path)),
      list: (directory): readonly string[] => (check('list', directory), files.list(directory)),
      stat: (path): FileStat | undefined => (check('stat', path), files.stat(path)),
      rename: (from, to) => (check('rename', from), files.rename(from, to)),
      remove: (path) => (check('remove', path), files.remove(path)),
      syncDirectory: (directory) => (check('sync', directory), this.#alive(files.syncDirectory(directory))),
      lock: (path): FileLock | undefined => {
        check('lock', path);
        const lock = files.lock(path);
        return lock === undefined ? undefined : { release: () => this.#isAlive && lock.release() };
      },
    };
  }

  #file(file: File): File {
    return {
      path: file.path,
      size: () => file.size(),
      writev: (parts, position) => file.writev(parts, position),
      read: (into, position) => this.#alive(file.read(into, position)),
      readSync: (into, position) => file.readSync(into, position),
      truncate: (length) => file.truncate(length),
      datasync: () => this.#alive(file.datasync()),
      close: () => file.close(),
    };
  }

  /** A promise that is kept only while the process lives. */
  #alive<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      promise.then(
        (value) => this.#isAlive && resolve(value),
        (error: unknown) => this.#isAlive && reject(error as Error),
      );
    });
  }
}
