import { ProtocolError } from './errors.ts';

const prefixBytes = 4;
/** Beyond this, memory for a frame grows only as its bytes arrive, never by the length that the peer claims. */
const trustedBytes = 65_536;

/** Cuts a byte stream into frames. A frame that came whole in one chunk is a view on it; only one that spans chunks is copied. */
export class FrameSplitter {
  readonly #maxFrameBytes: number;
  /** A length prefix that is not whole yet. */
  readonly #prefix: Uint8Array = new Uint8Array(prefixBytes);
  #prefixLength = 0;
  /** The frame that is being gathered: null between frames. */
  #frame: Uint8Array | null = null;
  #frameLength = 0;
  #gathered = 0;

  /** @throws `ProtocolError` from `push` for a negative length or one above `maxFrameBytes`; never allocates what a peer only claims */
  constructor(options: { readonly maxFrameBytes: number }) {
    this.#maxFrameBytes = options.maxFrameBytes;
  }

  /** Bytes held of a frame that is not whole. */
  get pendingBytes(): number {
    return this.#frame === null ? this.#prefixLength : prefixBytes + this.#gathered;
  }

  /** `onFrame` is called for each frame that is whole now, without its length prefix. What it throws comes out here: close the connection. */
  push(chunk: Uint8Array, onFrame: (frame: Uint8Array) => void): void {
    let position = 0;
    const { length } = chunk;
    while (position < length) {
      if (this.#frame !== null) {
        const taken = Math.min(this.#frameLength - this.#gathered, length - position);
        this.#gather(chunk, position, taken);
        position += taken;
        if (this.#gathered < this.#frameLength) return;
        const frame = this.#frame.subarray(0, this.#frameLength);
        this.#frame = null;
        onFrame(frame);
        continue;
      }
      let frameLength: number;
      if (this.#prefixLength === 0 && length - position >= prefixBytes) {
        frameLength = this.#checkedLength(chunk, position);
        position += prefixBytes;
      } else {
        while (this.#prefixLength < prefixBytes && position < length) {
          this.#prefix[this.#prefixLength++] = chunk[position++]!;
        }
        if (this.#prefixLength < prefixBytes) return;
        frameLength = this.#checkedLength(this.#prefix, 0);
        this.#prefixLength = 0;
      }
      if (length - position >= frameLength) {
        const end = position + frameLength;
        onFrame(chunk.subarray(position, end));
        position = end;
      } else {
        this.#frameLength = frameLength;
        this.#gathered = 0;
        this.#frame = Buffer.allocUnsafeSlow(Math.min(frameLength, Math.max(trustedBytes, length - position)));
      }
    }
  }

  #gather(chunk: Uint8Array, position: number, byteLength: number): void {
    let frame = this.#frame!;
    const needed = this.#gathered + byteLength;
    if (needed > frame.length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(this.#frameLength, Math.max(needed, frame.length * 2)));
      grown.set(frame.subarray(0, this.#gathered));
      this.#frame = frame = grown;
    }
    frame.set(byteLength === chunk.length ? chunk : chunk.subarray(position, position + byteLength), this.#gathered);
    this.#gathered = needed;
  }

  #checkedLength(bytes: Uint8Array, position: number): number {
    const length =
      (bytes[position]! << 24) | (bytes[position + 1]! << 16) | (bytes[position + 2]! << 8) | bytes[position + 3]!;
    if (length >= 0 && length <= this.#maxFrameBytes) return length;
    throw new ProtocolError(
      length < 0
        ? `A frame claims ${length} bytes. Is the peer a Kafka client or broker?`
        : `A frame claims ${length} bytes, above the limit of ${this.#maxFrameBytes}.${suspicion(length)}`,
      { frameBytes: length, maxFrameBytes: this.#maxFrameBytes },
    );
  }
}

/** The usual accidents, told by their first four bytes. */
function suspicion(length: number): string {
  if (length >>> 16 === 0x1603) return ' It is a TLS handshake: the peer speaks TLS to a port without.';
  if (length >>> 16 === 0x1503) return ' It is a TLS alert: we speak plain text to a TLS port.';
  const text = String.fromCharCode(length >>> 24, (length >>> 16) & 0xff, (length >>> 8) & 0xff, length & 0xff);
  if (/^(GET |HEAD|POST|PUT |HTTP)/.test(text)) return ' It is HTTP.';
  return ' Raise the limit if frames may be so large.';
}
