import { hash } from 'node:crypto';

/** 16 bytes that stand for the key, 8 of its offset. */
const slotBytes = 24;
const fingerprintBytes = 16;
const initialSlots = 1024;
/** Beyond this share of used slots, probing gets slow. */
const maxLoad = 0.75;

/**
 * The latest offset of each key, in a bounded amount of memory: 24 bytes a key in typed arrays, where a `Map` of strings takes
 * over a hundred. A key of up to 15 bytes stands for itself; of a longer one 120 bits of its SHA-256 do, so that nobody can
 * make two keys that are taken for one (Kafka trusts MD5 here).
 */
export class KeyOffsetMap {
  readonly #maxSlots: number;
  #fingerprints: Uint32Array;
  /** Offset + 1; 0: the slot is free. */
  #offsets: Float64Array;
  #mask: number;
  #count = 0;
  readonly #probe: Uint32Array = new Uint32Array(fingerprintBytes / 4);
  readonly #probeBytes: Uint8Array = new Uint8Array(this.#probe.buffer);

  /** @param maxBytes memory for keys; the map starts small and doubles up to it */
  constructor(maxBytes: number) {
    this.#maxSlots = Math.max(16, 2 ** Math.floor(Math.log2(maxBytes / slotBytes)));
    const slots = Math.min(initialSlots, this.#maxSlots);
    this.#fingerprints = new Uint32Array(slots * 4);
    this.#offsets = new Float64Array(slots);
    this.#mask = slots - 1;
  }

  get size(): number {
    return this.#count;
  }

  /** How many more keys are sure to fit. */
  get room(): number {
    return Math.floor(this.#maxSlots * maxLoad) - this.#count;
  }

  set(key: Uint8Array, offset: number): void {
    if (this.#count + 1 > (this.#mask + 1) * maxLoad && this.#mask + 1 < this.#maxSlots) this.#grow();
    this.#take(key);
    const slot = this.#find();
    if (this.#offsets[slot] === 0) {
      this.#count++;
      this.#fingerprints.set(this.#probe, slot * 4);
    }
    this.#offsets[slot] = offset + 1;
  }

  /** −1: the key is not there. */
  get(key: Uint8Array): number {
    this.#take(key);
    return this.#offsets[this.#find()]! - 1;
  }

  #take(key: Uint8Array): void {
    const bytes = this.#probeBytes;
    if (key.length < fingerprintBytes) {
      bytes.fill(0);
      bytes[0] = key.length;
      bytes.set(key, 1);
    } else {
      bytes.set(hash('sha256', key, 'buffer').subarray(0, fingerprintBytes));
      bytes[0] = 0xff;
    }
  }

  /** The slot of the key in `#probe`, or the free one where it belongs. */
  #find(): number {
    const [a, b, c, d] = this.#probe as unknown as [number, number, number, number];
    // Short keys differ in few bits: multiply and fold, so that neighbours do not cluster.
    let h =
      Math.imul(a ^ Math.imul(b, 0x9e37_79b1), 0x85eb_ca6b) ^ Math.imul(c ^ Math.imul(d, 0xc2b2_ae35), 0x27d4_eb2f);
    h = Math.imul(h ^ (h >>> 15), 0x2c1b_3c6d);
    h ^= h >>> 13;
    for (let slot = h & this.#mask; ; slot = (slot + 1) & this.#mask) {
      if (this.#offsets[slot] === 0) return slot;
      const at = slot * 4;
      const found = this.#fingerprints;
      if (found[at] === a && found[at + 1] === b && found[at + 2] === c && found[at + 3] === d) return slot;
    }
  }

  #grow(): void {
    const fingerprints = this.#fingerprints;
    const offsets = this.#offsets;
    const slots = offsets.length * 2;
    this.#fingerprints = new Uint32Array(slots * 4);
    this.#offsets = new Float64Array(slots);
    this.#mask = slots - 1;
    for (let slot = 0; slot < offsets.length; slot++) {
      if (offsets[slot] === 0) continue;
      this.#probe.set(fingerprints.subarray(slot * 4, slot * 4 + 4));
      const target = this.#find();
      this.#fingerprints.set(this.#probe, target * 4);
      this.#offsets[target] = offsets[slot]!;
    }
  }
}
