import { malformed } from './errors.ts';

const magic = 0xfd2fb528;
/** `0x184d2a50` to `5f`: frames to skip. */
const skippableMagic = 0x184d2a50;
const maxBlockBytes = 131_072;

export interface ZstdFrame {
  readonly start: number;
  readonly end: number;
  /** The most that its blocks can inflate to. Kafka's clients do not write the content size, and a peer may lie about it. */
  readonly maxContentBytes: number;
}

/** Finds the frames by walking the headers of their blocks, without inflating anything (RFC 8878, section 3.1). */
export function scanZstd(bytes: Uint8Array): readonly ZstdFrame[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const frames: ZstdFrame[] = [];
  let position = 0;
  const take = (byteLength: number): number => {
    const at = position;
    if (byteLength > bytes.length - at) throw malformed('zstd', `it is cut off after ${at} bytes`);
    position = at + byteLength;
    return at;
  };
  while (position < bytes.length) {
    const start = position;
    const found = view.getUint32(take(4), true);
    if ((found & ~0xf) >>> 0 === skippableMagic) {
      take(view.getUint32(take(4), true));
      continue;
    }
    if (found !== magic) throw malformed('zstd', `a frame begins with ${found.toString(16)}`);
    const descriptor = view.getUint8(take(1));
    const isSingleSegment = (descriptor & 0x20) !== 0;
    const sizeFlag = descriptor >>> 6;
    if (!isSingleSegment) take(1);
    take([0, 1, 2, 4][descriptor & 3]!);
    take(sizeFlag === 0 ? (isSingleSegment ? 1 : 0) : 1 << sizeFlag);
    let maxContentBytes = 0;
    let isLast = false;
    while (!isLast) {
      const at = take(3);
      const blockHeader = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16);
      isLast = (blockHeader & 1) !== 0;
      const type = (blockHeader >>> 1) & 3;
      const size = blockHeader >>> 3;
      if (size > maxBlockBytes) throw malformed('zstd', `a block of ${size} bytes exceeds ${maxBlockBytes}`);
      if (type === 3) throw malformed('zstd', 'a block is of the reserved type');
      // Type 1 repeats one byte `size` times, 0 is stored as is.
      take(type === 1 ? 1 : size);
      maxContentBytes += type === 2 ? maxBlockBytes : size;
    }
    if (descriptor & 0x04) take(4);
    frames.push({ start, end: position, maxContentBytes });
  }
  return frames;
}
