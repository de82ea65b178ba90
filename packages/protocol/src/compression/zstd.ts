import { createRequire } from 'node:module';
import * as zlib from 'node:zlib';
import { UnsupportedCompressionError } from '../errors.ts';
import { malformed, tooLarge } from './errors.ts';
import { scanZstd } from './zstd-frames.ts';

/** Node has zstd since 22.15 and 23.8; `@types/node` 20 does not know it. */
interface ZlibWithZstd {
  readonly zstdCompressSync?: (bytes: Uint8Array) => Uint8Array;
  readonly zstdDecompressSync?: (bytes: Uint8Array, options: { readonly maxOutputLength: number }) => Uint8Array;
}

/** `@foxglove/wasm-zstd`, for older Nodes. */
interface WasmZstd {
  readonly isLoaded: Promise<void>;
  compress(bytes: Uint8Array, level?: number): Uint8Array;
  decompress(bytes: Uint8Array, byteLength: number): Uint8Array;
}

const { zstdCompressSync, zstdDecompressSync } = zlib as ZlibWithZstd;
const require = createRequire(import.meta.url);
let wasm: WasmZstd | undefined;
let loading: Promise<void> | undefined;

export function zstdCompress(bytes: Uint8Array): Uint8Array {
  if (zstdCompressSync !== undefined) return zstdCompressSync(bytes);
  return loaded().compress(bytes);
}

export function zstdDecompress(bytes: Uint8Array, maxBytes: number): Uint8Array {
  const frames = scanZstd(bytes);
  const [only] = frames;
  if (frames.length === 1) return inflateFrame(bytes.subarray(only!.start, only!.end), only!.maxContentBytes, maxBytes);
  const plain: Uint8Array[] = [];
  let total = 0;
  for (const { start, end, maxContentBytes } of frames) {
    const part = inflateFrame(bytes.subarray(start, end), maxContentBytes, maxBytes - total, maxBytes);
    plain.push(part);
    total += part.byteLength;
  }
  return Buffer.concat(plain, total);
}

/** One frame, as Node's zstd reads no more than the first. */
function inflateFrame(
  frame: Uint8Array,
  maxContentBytes: number,
  leftBytes: number,
  maxBytes: number = leftBytes,
): Uint8Array {
  // One byte of room above the limit tells a result that is just as long from one that is longer.
  const room = Math.min(maxContentBytes, leftBytes + 1);
  let plain: Uint8Array;
  try {
    plain =
      zstdDecompressSync === undefined
        ? loaded().decompress(frame, room)
        : zstdDecompressSync(frame, { maxOutputLength: Math.max(room, 1) });
  } catch (error) {
    if (error instanceof UnsupportedCompressionError) throw error;
    const isTooLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
    // The WASM module says only that it failed: with less room than the frame may need, that is the likely reason.
    if (isTooLarge || (zstdDecompressSync === undefined && room < maxContentBytes)) throw tooLarge('zstd', maxBytes);
    throw malformed('zstd', (error as Error).message, error);
  }
  if (plain.byteLength > leftBytes) throw tooLarge('zstd', maxBytes);
  return plain;
}

export function prepareZstd(): Promise<void> {
  if (zstdDecompressSync !== undefined) return Promise.resolve();
  return (loading ??= load());
}

async function load(): Promise<void> {
  let module: WasmZstd;
  try {
    module = require('@foxglove/wasm-zstd') as WasmZstd;
  } catch {
    loading = undefined;
    throw unavailable();
  }
  await module.isLoaded;
  wasm = module;
}

function loaded(): WasmZstd {
  if (wasm === undefined) throw unavailable();
  return wasm;
}

function unavailable(): UnsupportedCompressionError {
  return new UnsupportedCompressionError(
    'zstd',
    "Run Node 22.15 or later, or install @foxglove/wasm-zstd and await prepareCompression('zstd') first.",
  );
}
