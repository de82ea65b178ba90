import type { Cluster } from '@millrace/client';

type Endpoint = Extract<Cluster, { dial(): unknown }>;
type Channel = ReturnType<Endpoint['dial']>;

/** An embedded broker as a process reaches it that is stopped for a while (SIGSTOP, a long pause) and then goes on. */
export class StallingEndpoint implements Endpoint {
  readonly #endpoint: Endpoint;
  readonly #held: (() => void)[] = [];
  #isStalled = false;
  #stallAt: number | undefined;
  #tell: () => void = () => {};

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  dial(): Channel {
    const channel = this.#endpoint.dial();
    return {
      send: (frame) => {
        // A request begins with its API key.
        if (this.#stallAt === ((frame[0]! << 8) | frame[1]!)) this.stall();
        this.#pass(() => channel.send(frame));
      },
      onFrame: (listener) => channel.onFrame((frame) => this.#pass(() => listener(frame))),
      onClose: (listener) => channel.onClose((reason) => this.#pass(() => listener(reason))),
      close: () => this.#pass(() => channel.close()),
    };
  }

  stall(): void {
    this.#isStalled = true;
    this.#stallAt = undefined;
    this.#tell();
  }

  /** Stalls before the next request of this API gets out; resolves then. */
  stallAt(apiKey: number): Promise<void> {
    this.#stallAt = apiKey;
    return new Promise((resolve) => (this.#tell = resolve));
  }

  /** What was held comes through, in order. */
  goOn(): void {
    this.#isStalled = false;
    for (const pass of this.#held.splice(0)) pass();
  }

  #pass(pass: () => void): void {
    if (this.#isStalled) this.#held.push(pass);
    else pass();
  }
}
