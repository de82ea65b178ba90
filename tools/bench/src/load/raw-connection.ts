import { nodeNetwork, type Connection } from '@millrace/platform';
import {
  decodeResponse,
  encodeRequest,
  FrameSplitter,
  type ApiSchema,
  type RequestInput,
  type ResponseOf,
} from '@millrace/protocol';

/** A connection that speaks the protocol and nothing else: the load generator should cost as little as it can. */
export class RawConnection {
  readonly #connection: Connection;
  readonly #waiting: ((frame: Uint8Array) => void)[] = [];
  #correlationId = 0;

  static async open(address: string): Promise<RawConnection> {
    const [host, port] = address.split(':');
    return new RawConnection(await nodeNetwork().connect({ host: host!, port: Number(port), timeoutMs: 5000 }));
  }

  private constructor(connection: Connection) {
    this.#connection = connection;
    const splitter = new FrameSplitter({ maxFrameBytes: 1 << 30 });
    // A connection answers in order.
    connection.onData((chunk) => splitter.push(chunk, (frame) => this.#waiting.shift()!(frame)));
  }

  /** Sends parts made before; `onFrame` gets the answer undecoded. */
  sendParts(parts: readonly Uint8Array[], onFrame: (frame: Uint8Array) => void): void {
    this.#waiting.push(onFrame);
    this.#connection.write(parts);
  }

  request<A extends ApiSchema>(api: A, version: number, body: RequestInput<A>): Promise<ResponseOf<A>> {
    const { parts } = encodeRequest(api, version, { correlationId: this.#correlationId++, clientId: 'bench' }, body);
    return new Promise((resolve, reject) => {
      this.sendParts(parts, (frame) => {
        try {
          resolve(decodeResponse(api, version, frame));
        } catch (error) {
          reject(error as Error);
        }
      });
    });
  }

  close(): void {
    this.#connection.end();
  }
}
