import { FileSystemError } from './errors.ts';

/** Of Linux's file systems, in bytes of UTF-8. */
const maxNameBytes = 255;

/** What a real disk would say. */
export function refused(operation: string, path: string, code: string): FileSystemError {
  return new FileSystemError(operation, path, Object.assign(new Error(code), { code }));
}

/** For the last part of a path that is to be made. */
export function checkName(operation: string, path: string): void {
  if (Buffer.byteLength(path.slice(path.lastIndexOf('/') + 1)) > maxNameBytes) {
    throw refused(operation, path, 'ENAMETOOLONG');
  }
}
