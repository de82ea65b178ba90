import type { Clock } from '@millrace/platform';
import type { InProcessChannel, OutgoingFrame } from '@millrace/protocol';
import type { Transport } from './transport.ts';

/**
 * A transport without a socket: its other end is the channel that a client in this process holds. Frames cross in a later turn,
 * as over a socket, so neither side is called back from within its own call.
 */
export function inProcessPair(clock: Clock): { readonly transport: Transport; readonly channel: InProcessChannel } {
  const toBroker = new FrameQueue(clock);
  const toClient = new FrameQueue(clock);
  let closedBy: { readonly reason: Error | undefined } | undefined;
  let onBrokerClose: (reason?: Error) => void = () => {};
  let onClientClose: (reason?: Error) => void = () => {};
  const close = (reason?: Error): void => {
    if (closedBy !== undefined) return;
    closedBy = { reason };
    toBroker.close();
    clock.defer(() => {
      toClient.flush();
      onBrokerClose(reason);
      onClientClose(reason);
    });
  };

  const channel: InProcessChannel = {
    send: (frame) => toBroker.push(frame),
    onFrame: (listener) => toClient.onFrame(listener),
    onClose: (listener) => (onClientClose = listener),
    close: () => close(),
  };
  const transport: Transport = {
    remoteAddress: '127.0.0.1:0',
    onFrame: (listener) =>
      toBroker.onFrame((frame) => {
        try {
          listener(frame);
        } catch (error) {
          close(error as Error);
        }
      }),
    onDrain: () => {},
    onClose: (listener) => (onBrokerClose = listener),
    send: (frames) => {
      for (const frame of frames) toClient.push(joined(frame));
    },
    bufferedBytes: 0,
    pendingBytes: 0,
    pause: () => toBroker.pause(),
    resume: () => toBroker.resume(),
    end: () => close(),
    destroy: close,
  };
  return { transport, channel };
}

/** Frames on their way to one side. Held while that side pauses. */
class FrameQueue {
  readonly #clock: Clock;
  #frames: Uint8Array[] = [];
  #listener: ((frame: Uint8Array) => void) | undefined;
  #isScheduled = false;
  #isPaused = false;
  #isClosed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  push(frame: Uint8Array): void {
    if (this.#isClosed) return;
    this.#frames.push(frame);
    this.#schedule();
  }

  onFrame(listener: (frame: Uint8Array) => void): void {
    this.#listener = listener;
    this.#schedule();
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#schedule();
  }

  /** Hands over what there is. A listener that pauses keeps the rest waiting. */
  flush(): void {
    const frames = this.#frames;
    let count = 0;
    while (count < frames.length && !this.#isPaused && !this.#isClosed) this.#listener?.(frames[count++]!);
    this.#frames = frames.slice(count);
  }

  close(): void {
    this.#isClosed = true;
    this.#frames = [];
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isPaused || this.#listener === undefined || this.#frames.length === 0) return;
    this.#isScheduled = true;
    this.#clock.defer(() => {
      this.#isScheduled = false;
      this.flush();
    });
  }
}

/** One frame in one piece, without its length prefix: the receiver's own. */
function joined(frame: OutgoingFrame): Uint8Array {
  const prefixBytes = 4;
  if (frame.parts.length === 1) return frame.parts[0]!.subarray(prefixBytes);
  const bytes = new Uint8Array(frame.byteLength - prefixBytes);
  let position = -prefixBytes;
  for (const part of frame.parts) {
    bytes.set(position < 0 ? part.subarray(-position) : part, Math.max(0, position));
    position += part.length;
  }
  return bytes;
}
