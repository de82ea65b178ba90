import type { Cluster } from '@millrace/client';
import { NetworkError } from '@millrace/platform';

type Endpoint = Extract<Cluster, { dial(): unknown }>;
type Channel = ReturnType<Endpoint['dial']>;

/** When a process dies: at which of the frames it sends, and whether that one still gets out. */
export interface Crash {
  readonly atFrame: number;
  readonly isDelivered: boolean;
}

/**
 * An embedded broker as a process reaches it that is killed at some frame: from then on nothing of it gets to the broker, nothing
 * comes back, and its connections are closed. What the process itself still tries fails at once.
 */
export class CrashingEndpoint implements Endpoint {
  /** Frames sent so far: a run without a crash tells how many places there are to die at. */
  frameCount = 0;
  /** Resolves when it has died. */
  readonly crashed: Promise<void>;
  readonly #endpoint: Endpoint;
  readonly #crash: Crash;
  readonly #channels = new Map<Channel, ((reason?: Error) => void)[]>();
  #isDead = false;
  #tell: () => void = () => {};

  constructor(endpoint: Endpoint, crash: Crash = { atFrame: Infinity, isDelivered: false }) {
    this.#endpoint = endpoint;
    this.#crash = crash;
    this.crashed = new Promise((resolve) => (this.#tell = resolve));
  }

  dial(): Channel {
    if (this.#isDead) throw new NetworkError('Cannot connect to', 'a dead process', 0);
    const channel = this.#endpoint.dial();
    const closeListeners: ((reason?: Error) => void)[] = [];
    this.#channels.set(channel, closeListeners);
    return {
      send: (frame) => {
        if (this.#isDead) return;
        const isLast = ++this.frameCount >= this.#crash.atFrame;
        if (!isLast || this.#crash.isDelivered) channel.send(frame);
        if (isLast) this.kill(this.#crash.isDelivered ? channel : undefined);
      },
      onFrame: (listener) =>
        channel.onFrame((frame) => {
          if (this.#isDead) channel.close();
          else listener(frame);
        }),
      onClose: (listener) => {
        closeListeners.push(listener);
        channel.onClose((reason) => {
          if (!this.#isDead) listener(reason);
        });
      },
      close: () => {
        if (!this.#isDead) channel.close();
      },
    };
  }

  /** @param sending its last frame is on the way: it stays open until that is answered */
  kill(sending?: Channel): void {
    if (this.#isDead) return;
    this.#isDead = true;
    for (const [channel, closeListeners] of this.#channels) {
      if (channel !== sending) channel.close();
      for (const listener of closeListeners) listener(new NetworkError('Lost', 'a dead process', 0));
    }
    this.#tell();
  }
}
