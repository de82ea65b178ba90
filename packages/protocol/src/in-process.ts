/** Something a client can talk to without a socket. An embedded `Broker` is one. */
export interface InProcessEndpoint {
  /** Opens a channel that carries whole Kafka frames, as TCP would, less the length prefix. */
  dial(): InProcessChannel;
}

/** Frames are owned by the receiver. Listeners are set once, in the turn of `dial`; frames arrive in a later one. */
export interface InProcessChannel {
  /** Nothing happens once either end is closed, as with a socket whose peer is gone: `onClose` tells. */
  send(frame: Uint8Array): void;
  onFrame(listener: (frame: Uint8Array) => void): void;
  /** Called once, in a later turn, whichever end closed. `reason`: set if it was an error. */
  onClose(listener: (reason?: Error) => void): void;
  /** The peer still receives what was sent before; this end receives nothing more. */
  close(): void;
}

/**
 * Two channels, each other's peer. Frames arrive in the order they were sent, in a later turn: those of one turn together.
 * @param defer runs a task in a later turn: `clock.defer`
 */
export function createInProcessPair(
  defer: (task: () => void) => void,
): readonly [a: InProcessChannel, b: InProcessChannel] {
  const a = new ChannelEnd(defer);
  const b = new ChannelEnd(defer);
  a.connect(b);
  b.connect(a);
  return [a, b];
}

class ChannelEnd implements InProcessChannel {
  readonly #defer: (task: () => void) => void;
  #peer: ChannelEnd | null = null;
  /** Frames on their way to this end. */
  #arriving: Uint8Array[] = [];
  #isScheduled = false;
  /** The peer has closed: this end does too, once all that arrives is delivered. */
  #isPeerClosed = false;
  #isClosed = false;
  #frameListener: ((frame: Uint8Array) => void) | null = null;
  #closeListener: ((reason?: Error) => void) | null = null;

  constructor(defer: (task: () => void) => void) {
    this.#defer = defer;
  }

  connect(peer: ChannelEnd): void {
    this.#peer = peer;
  }

  send(frame: Uint8Array): void {
    const peer = this.#peer;
    if (this.#isClosed || this.#isPeerClosed || peer === null || peer.#isClosed) return;
    peer.#arriving.push(frame);
    peer.#schedule();
  }

  onFrame(listener: (frame: Uint8Array) => void): void {
    this.#frameListener = listener;
    if (this.#arriving.length > 0) this.#schedule();
  }

  onClose(listener: (reason?: Error) => void): void {
    this.#closeListener = listener;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#arriving = [];
    this.#defer(() => this.#closeListener?.());
    const peer = this.#peer;
    if (peer === null || peer.#isClosed) return;
    peer.#isPeerClosed = true;
    peer.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#defer(() => this.#deliver());
  }

  #deliver(): void {
    this.#isScheduled = false;
    const listener = this.#frameListener;
    const frames = this.#arriving;
    if (frames.length > 0 && listener !== null) {
      this.#arriving = [];
      let delivered = 0;
      try {
        // A listener may close this end: it gets nothing more then.
        while (delivered < frames.length && !this.#isClosed) listener(frames[delivered++]!);
      } finally {
        // What a listener throws is its owner's affair, but costs no frames.
        if (delivered < frames.length && !this.#isClosed) {
          this.#arriving = frames.slice(delivered).concat(this.#arriving);
          this.#schedule();
        }
      }
    }
    if (!this.#isPeerClosed || this.#isClosed || (this.#arriving.length > 0 && listener !== null)) return;
    this.#isClosed = true;
    this.#closeListener?.();
  }
}
