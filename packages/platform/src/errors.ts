import { MillraceError } from './millrace-error.ts';

/** The operating system refused a file operation: `context.errno` is its name (`ENOSPC`, `EROFS`), `context.path` the file. */
export class FileSystemError extends MillraceError {
  readonly code = 'FILE_SYSTEM_ERROR';
  readonly errno: string;
  constructor(operation: string, path: string, cause: unknown) {
    const errno = (cause as NodeJS.ErrnoException).code ?? 'EIO';
    super(`Cannot ${operation} ${path}: ${errno}. ${remedies[errno] ?? 'Look at the disk and the mount.'}`, {
      context: { operation, path, errno },
      cause,
    });
    this.errno = errno;
  }
}

const remedies: Readonly<Record<string, string>> = {
  ENOSPC: 'The disk is full: free space, or lower the retention of topics, and start again.',
  EDQUOT: 'The disk quota is used up: free space, and start again.',
  EROFS: 'The file system is read-only: mount it writable, or choose another directory.',
  EACCES: 'This user may not: change the permissions, or choose another directory.',
  EPERM: 'This user may not: change the permissions, or choose another directory.',
  EMFILE: 'Too many open files: raise `ulimit -n`.',
  ENFILE: 'Too many open files on this machine.',
  EEXIST: 'A file of this name is in the way: choose another directory.',
  EFBIG: 'A limit on the size of files is reached: raise `ulimit -f`, and start again.',
  ENOENT: 'It does not exist.',
  ENAMETOOLONG: 'A name has at most 255 bytes: choose a shorter one.',
};

/** Another process listens on the port. */
export class PortInUseError extends MillraceError {
  readonly code = 'PORT_IN_USE';
  constructor(host: string, port: number, cause: unknown) {
    super(
      `Cannot listen on ${host}:${port}: the port is in use. Stop its owner, choose another port, or 0 for a free one.`,
      {
        context: { host, port },
        cause,
      },
    );
  }
}

/** A connection could not be made, or broke. */
export class NetworkError extends MillraceError {
  readonly code = 'NETWORK_ERROR';
  constructor(what: string, host: string, port: number, cause?: unknown) {
    const errno = (cause as NodeJS.ErrnoException | undefined)?.code;
    super(
      `${what} ${host}:${port}${errno === undefined ? '' : `: ${errno}`}. Check that the peer runs and listens there.`,
      {
        context: { host, port, errno },
        retriable: true,
        cause,
      },
    );
  }
}
