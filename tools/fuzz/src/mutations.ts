import type { SeededRandom } from '@millrace/platform/simulated';

/** A request as it should not be: with flipped bits, cut, too long, with lying lengths, or noise. */
export function mutated(frame: Buffer, random: SeededRandom): Buffer {
  switch (random.below(6)) {
    case 0: // bits flipped behind the prefix
      for (let flips = 1 + random.below(4); flips > 0; flips--) {
        frame[4 + random.below(frame.length - 4)]! ^= 1 << random.below(8);
      }
      return frame;
    case 1: // cut short, with a prefix that fits
      return framed(frame.subarray(4, 4 + random.below(frame.length - 3)));
    case 2: // longer than it should be
      return framed(Buffer.concat([frame.subarray(4), random.bytes(1 + random.below(50))]));
    case 3: {
      // a length in the middle made huge or negative
      const at = Math.min(4 + random.below(Math.max(1, frame.length - 8)), frame.length - 4);
      frame.writeInt32BE(random.chance(0.5) ? 0x7fff_ffff : -random.below(1000), at);
      return frame;
    }
    case 4: // another API or version than the body's
      frame.writeInt16BE(random.below(80) - 1, 4);
      frame.writeInt16BE(random.below(20) - 1, 6);
      return frame;
    default: // noise
      return random.chance(0.9) ? framed(random.bytes(random.below(200))) : Buffer.from(random.bytes(64));
  }
}

function framed(body: Uint8Array): Buffer {
  const prefix = Buffer.alloc(4);
  prefix.writeInt32BE(body.length);
  return Buffer.concat([prefix, body]);
}
