import { nodeNetwork, type Connection, type Network } from '@millrace/platform';
import {
  decodeResponse,
  encodeRequest,
  FrameSplitter,
  type ApiSchema,
  type InProcessEndpoint,
  type RequestInput,
  type ResponseOf,
} from '@millrace/protocol';

/**
 * A client of bare frames, for tests: it sends what it is told, and hands out answers by their correlation ids.
 */
export class RawClient implements AsyncDisposable {
  readonly #send: (bytes: Uint8Array) => void;
  readonly #end: () => void;
  readonly #waiting: Map<number, (frame: Uint8Array) => void> = new Map<number, (frame: Uint8Array) => void>();
  /** Correlation ids in the order in which answers came. */
  readonly answered: number[] = [];
  readonly closed: Promise<Error | undefined>;
  #resolveClosed: (reason: Error | undefined) => void = () => {};
  #correlationId = 0;

  private constructor(send: (bytes: Uint8Array) => void, end: () => void) {
    this.#send = send;
    this.#end = end;
    this.closed = new Promise((resolve) => (this.#resolveClosed = resolve));
  }

  /** Within the process. */
  static dial(broker: InProcessEndpoint): RawClient {
    const channel = broker.dial();
    const client = new RawClient(
      (bytes) => channel.send(bytes.subarray(4)),
      () => channel.close(),
    );
    channel.onFrame((frame) => client.#onFrame(frame));
    channel.onClose((reason) => client.#resolveClosed(reason));
    return client;
  }

  /** Over a network. */
  static async connect(address: string, network: Network = nodeNetwork()): Promise<RawClient> {
    const [host = '', port] = address.split(':');
    const connection = await network.connect({ host, port: Number(port), timeoutMs: 5000 });
    return RawClient.over(connection);
  }

  static over(connection: Connection): RawClient {
    const client = new RawClient(
      (bytes) => connection.write([bytes]),
      () => connection.destroy(),
    );
    const splitter = new FrameSplitter({ maxFrameBytes: 200 * 1024 * 1024 });
    connection.onData((chunk) => splitter.push(chunk, (frame) => client.#onFrame(frame)));
    connection.onClose((reason) => client.#resolveClosed(reason));
    return client;
  }

  /** Sends a request and waits for its answer. Rejects if the connection closes first. */
  request<A extends ApiSchema>(api: A, version: number, request: RequestInput<A>): Promise<ResponseOf<A>> {
    const correlationId = ++this.#correlationId;
    const frame = encodeRequest(api, version, { correlationId, clientId: 'raw' }, request);
    const answer = new Promise<Uint8Array>((resolve) => this.#waiting.set(correlationId, resolve));
    this.#send(Buffer.concat(frame.parts));
    const gone = this.closed.then((): never => {
      throw new Error('the connection closed before the answer came');
    });
    return Promise.race([answer, gone]).then((bytes) => decodeResponse(api, version, bytes));
  }

  /** Sends a request that gets no answer. Gives its correlation id. */
  post<A extends ApiSchema>(api: A, version: number, request: RequestInput<A>): number {
    const correlationId = ++this.#correlationId;
    const frame = encodeRequest(api, version, { correlationId, clientId: 'raw' }, request);
    this.#send(Buffer.concat(frame.parts));
    return correlationId;
  }

  /** Sends bytes as they are: a length prefix belongs to them. */
  sendBytes(bytes: Uint8Array): void {
    this.#send(bytes);
  }

  /** The frame that answers a correlation id, as it came. */
  frame(correlationId: number): Promise<Uint8Array> {
    return new Promise((resolve) => this.#waiting.set(correlationId, resolve));
  }

  close(): void {
    this.#end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.closed;
  }

  #onFrame(frame: Uint8Array): void {
    const correlationId = Buffer.from(frame.buffer, frame.byteOffset, 4).readInt32BE(0);
    this.answered.push(correlationId);
    this.#waiting.get(correlationId)?.(frame);
    this.#waiting.delete(correlationId);
  }
}
