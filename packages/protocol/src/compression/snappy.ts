import { createRequire } from 'node:module';
import { malformed, tooLarge } from './errors.ts';
import { snappyBlockBytes, unsnappyBlock } from './snappy-block.ts';

/**
 * Two framings are about: Java and kafkajs write snappy-java's (this header, then blocks with their length in front), librdkafka
 * one bare block. Both are read; the first is written, as Java's broker and clients do.
 */
const magic: Uint8Array = Uint8Array.of(0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00);
/** Magic, version and lowest compatible version, both 1. */
const header: Uint8Array = Uint8Array.of(...magic, 0, 0, 0, 1, 0, 0, 0, 1);
const blockBytes = 32_768;

/** Handing over external memory, the default, is three times slower than having the output copied (16 KiB: 299 and 882 MB/s in). */
const options = { copyOutputData: true, asBuffer: true } as const;
const require = createRequire(import.meta.url);
/** Null where it is not installed; tests pass null to do without. */
const native: NativeSnappy | null = loadNative();
/** Plain JavaScript; has no types of its own. */
const compressPortable = (require('snappyjs') as { readonly compress: (bytes: Uint8Array) => Uint8Array }).compress;

interface NativeSnappy {
  readonly compressSync: (bytes: Uint8Array, options: { readonly copyOutputData: true }) => Uint8Array;
  readonly uncompressSync: (
    bytes: Uint8Array,
    options: { readonly copyOutputData: true; readonly asBuffer: true },
  ) => Uint8Array;
}

export function snappyCompress(bytes: Uint8Array, codec: NativeSnappy | null = native): Uint8Array {
  const blocks: Uint8Array[] = [];
  let byteLength = header.length;
  for (let position = 0; position < bytes.length; position += blockBytes) {
    const plain = bytes.subarray(position, Math.min(position + blockBytes, bytes.length));
    const block = codec === null ? compressPortable(plain) : codec.compressSync(plain, options);
    blocks.push(block);
    byteLength += 4 + block.length;
  }
  const out = new Uint8Array(byteLength);
  const view = new DataView(out.buffer);
  out.set(header);
  let position = header.length;
  for (const block of blocks) {
    view.setInt32(position, block.length);
    out.set(block, position + 4);
    position += 4 + block.length;
  }
  return out;
}

export function snappyDecompress(bytes: Uint8Array, maxBytes: number, codec: NativeSnappy | null = native): Uint8Array {
  if (!hasMagic(bytes, 0)) {
    const byteLength = checkedBlockBytes(bytes, maxBytes);
    return codec === null ? unsnappyBlock(bytes, byteLength) : uncompressNative(codec, bytes, byteLength);
  }
  const blocks: Uint8Array[] = [];
  const lengths: number[] = [];
  let total = 0;
  let position = 0;
  while (position < bytes.length) {
    // Streams of snappy-java may follow each other.
    if (hasMagic(bytes, position)) {
      position += header.length;
      if (position > bytes.length) throw malformed('snappy', 'its header is cut off');
      continue;
    }
    if (position + 4 > bytes.length) throw malformed('snappy', 'the length of a block is cut off');
    const blockLength =
      (bytes[position]! << 24) | (bytes[position + 1]! << 16) | (bytes[position + 2]! << 8) | bytes[position + 3]!;
    position += 4;
    if (blockLength < 0 || blockLength > bytes.length - position) {
      throw malformed('snappy', `a block claims ${blockLength} bytes, but ${bytes.length - position} are left`);
    }
    const block = bytes.subarray(position, position + blockLength);
    const length = checkedBlockBytes(block, maxBytes - total, maxBytes);
    blocks.push(block);
    lengths.push(length);
    total += length;
    position += blockLength;
  }
  if (blocks.length === 1) {
    return codec === null ? unsnappyBlock(blocks[0]!, total) : uncompressNative(codec, blocks[0]!, total);
  }
  const out = Buffer.allocUnsafeSlow(total);
  let written = 0;
  for (let i = 0; i < blocks.length; i++) {
    const length = lengths[i]!;
    if (codec === null) unsnappyBlock(blocks[i]!, length, out, written);
    else out.set(uncompressNative(codec, blocks[i]!, length), written);
    written += length;
  }
  return out;
}

function uncompressNative(codec: NativeSnappy, block: Uint8Array, byteLength: number): Uint8Array {
  let plain: Uint8Array;
  try {
    plain = codec.uncompressSync(block, options);
  } catch (error) {
    throw malformed('snappy', (error as Error).message, error);
  }
  if (plain.byteLength !== byteLength) throw malformed('snappy', 'a block is not as long as it claims');
  return plain;
}

function checkedBlockBytes(block: Uint8Array, leftBytes: number, maxBytes: number = leftBytes): number {
  const byteLength = snappyBlockBytes(block);
  if (byteLength > leftBytes) throw tooLarge('snappy', maxBytes);
  return byteLength;
}

function hasMagic(bytes: Uint8Array, position: number): boolean {
  if (bytes.length - position < magic.length) return false;
  for (let i = 0; i < magic.length; i++) if (bytes[position + i] !== magic[i]) return false;
  return true;
}

/** `snappy` is optional: its absence on this platform is no error. */
function loadNative(): NativeSnappy | null {
  try {
    return require('snappy') as NativeSnappy;
  } catch {
    return null;
  }
}
