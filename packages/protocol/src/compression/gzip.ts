import { gunzipSync, gzipSync } from 'node:zlib';
import { malformed, tooLarge } from './errors.ts';

export function gzip(bytes: Uint8Array): Uint8Array {
  return gzipSync(bytes);
}

/** Reads several members in a row, as zlib does. */
export function gunzip(bytes: Uint8Array, maxBytes: number): Uint8Array {
  try {
    // zlib refuses a limit of 0, so an empty result is told from a byte too many here.
    const inflated = gunzipSync(bytes, { maxOutputLength: Math.max(maxBytes, 1) });
    if (inflated.byteLength <= maxBytes) return inflated;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_BUFFER_TOO_LARGE') {
      throw malformed('gzip', (error as Error).message, error);
    }
  }
  throw tooLarge('gzip', maxBytes);
}
