import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameSplitter } from './index.ts';

function framed(...payloads: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    payloads.flatMap((payload) => {
      const prefix = Buffer.alloc(4);
      prefix.writeInt32BE(payload.length);
      return [prefix, payload];
    }),
  );
}

describe('FrameSplitter', () => {
  it('gives the same frames however the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 40 }),
        (payloads, cuts) => {
          const stream = framed(...payloads);
          const splitter = new FrameSplitter({ maxFrameBytes: 300 });
          const frames: Uint8Array[] = [];
          let position = 0;
          for (let i = 0; position < stream.length; i++) {
            const end = Math.min(position + cuts[i % cuts.length]!, stream.length);
            splitter.push(Uint8Array.from(stream.subarray(position, end)), (frame) =>
              frames.push(Uint8Array.from(frame)),
            );
            position = end;
          }
          expect(frames).toEqual(payloads);
          expect(splitter.pendingBytes).toBe(0);
        },
      ),
    );
  });

  it('gives a frame that came whole as a view on its chunk', () => {
    const chunk = framed(Buffer.from('abc'), Buffer.from('defg'));
    const frames: Uint8Array[] = [];
    new FrameSplitter({ maxFrameBytes: 4 }).push(chunk, (frame) => frames.push(frame));
    expect(frames.map((frame) => Buffer.from(frame).toString())).toEqual(['abc', 'defg']);
    expect(frames.map((frame) => frame.buffer === chunk.buffer)).toEqual([true, true]);
  });

  it('counts what it holds of a frame that is not whole', () => {
    const splitter = new FrameSplitter({ maxFrameBytes: 100 });
    const chunk = framed(Buffer.alloc(10));
    const held: number[] = [];
    for (let i = 0; i < chunk.length; i++) {
      splitter.push(chunk.subarray(i, i + 1), () => undefined);
      held.push(splitter.pendingBytes);
    }
    expect(held).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0]);
  });

  it('takes a frame at the limit and refuses one byte more', () => {
    const frames: number[] = [];
    const push = (frameBytes: number): void =>
      new FrameSplitter({ maxFrameBytes: 10 }).push(framed(Buffer.alloc(frameBytes)), ({ length }) =>
        frames.push(length),
      );
    push(9);
    push(10);
    expect(frames).toEqual([9, 10]);
    expect(() => push(11)).toThrow(
      expect.objectContaining({ code: 'PROTOCOL_ERROR', context: { frameBytes: 11, maxFrameBytes: 10 } }),
    );
  });

  it('refuses a negative length', () => {
    const splitter = new FrameSplitter({ maxFrameBytes: 10 });
    expect(() => splitter.push(Buffer.from('ffffffff', 'hex'), () => undefined)).toThrow(
      expect.objectContaining({ code: 'PROTOCOL_ERROR' }),
    );
  });

  it.each([
    ['16030100', 'TLS handshake'],
    ['15030100', 'TLS alert'],
    [Buffer.from('GET ').toString('hex'), 'HTTP'],
    [Buffer.from('HTTP').toString('hex'), 'HTTP'],
    ['10000000', 'Raise the limit'],
  ])('names the likely accident behind a length of 0x%s: %s', (prefix, hint) => {
    const splitter = new FrameSplitter({ maxFrameBytes: 1000 });
    expect(() => splitter.push(Buffer.from(prefix, 'hex'), () => undefined)).toThrow(hint);
  });

  it('gets memory as bytes arrive, not by the length that a peer claims', () => {
    const splitter = new FrameSplitter({ maxFrameBytes: 2 ** 31 - 1 });
    const before = process.memoryUsage().arrayBuffers;
    splitter.push(Buffer.from('7fffffff', 'hex'), () => undefined);
    splitter.push(Buffer.alloc(100_000), () => undefined);
    expect(splitter.pendingBytes).toBe(100_004);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2_000_000);
  });

  it('gathers a frame of many chunks byte for byte', () => {
    const payload = Buffer.from(Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7) & 0xff));
    const stream = framed(payload, Buffer.from('next'));
    const splitter = new FrameSplitter({ maxFrameBytes: 300_000 });
    const frames: Buffer[] = [];
    for (let i = 0; i < stream.length; i += 1447) {
      splitter.push(stream.subarray(i, i + 1447), (frame) => frames.push(Buffer.from(frame)));
    }
    expect(frames.map(({ length }) => length)).toEqual([300_000, 4]);
    expect(frames[0]!.equals(payload)).toBe(true);
  });

  it('goes on after the frame whose listener threw, with the next chunk', () => {
    const splitter = new FrameSplitter({ maxFrameBytes: 10 });
    const failing = (): void => {
      throw new Error('refused');
    };
    expect(() => splitter.push(framed(Buffer.from('a')), failing)).toThrow('refused');
    const frames: string[] = [];
    splitter.push(framed(Buffer.from('b')), (frame) => frames.push(Buffer.from(frame).toString()));
    expect(frames).toEqual(['b']);
  });
});
