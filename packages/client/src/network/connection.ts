import { isMillraceError, type Clock } from '@millrace/platform';
import {
  errorCodes,
  apis,
  decodeResponse,
  encodeRequest,
  type ApiSchema,
  type RequestInput,
  type ResponseOf,
} from '@millrace/protocol';
import type { SaslOptions } from '../cluster-options.ts';
import {
  ClosedError,
  DisconnectedError,
  RequestTimedOutError,
  ResponseTooLargeError,
  UnsupportedVersionError,
} from '../errors.ts';
import { KafkaError } from '../kafka-error.ts';
import { authenticate } from './sasl.ts';
import type { Transport, TransportListener } from './transport.ts';
import { commonVersion, type ServedVersions } from './versions.ts';

export interface ConnectionSettings {
  readonly clock: Clock;
  readonly clientId: string;
  readonly requestTimeoutMs: number;
  readonly sasl: SaslOptions | undefined;
  /** Nonces for SCRAM. */
  readonly randomBytes: (length: number) => Uint8Array;
}

interface Pending {
  readonly api: ApiSchema;
  readonly version: number;
  readonly resolve: (response: never) => void;
  readonly reject: (error: Error) => void;
  readonly cancelTimeout: () => void;
}

/**
 * One connection to one broker: requests are pipelined, answers matched by correlation id. An answer that is late closes
 * it, as everything behind it is late too; whoever waits gets an error, so no call hangs.
 */
export class KafkaConnection {
  readonly #settings: ConnectionSettings;
  readonly #pending = new Map<number, Pending>();
  /** Requests without an answer that the socket has not taken. */
  readonly #untaken = new Map<number, Pending>();
  #transport: Transport | undefined;
  #served: ServedVersions = new Map();
  #correlationId = 0;
  #closedBy: Error | undefined;
  #onClose: (() => void) | undefined;

  /** Dials, agrees on versions (KIP-35, KIP-511) and authenticates, unless `signal` aborts meanwhile. */
  static async open(
    dial: (listener: TransportListener) => Transport | Promise<Transport>,
    settings: ConnectionSettings,
    signal: AbortSignal,
  ): Promise<KafkaConnection> {
    const connection = new KafkaConnection(settings);
    const abort = (): void => connection.close();
    signal.addEventListener('abort', abort, { once: true });
    try {
      connection.#transport = await dial({
        onFrame: (frame) => connection.#received(frame),
        onClose: (reason) => connection.#closed(reason),
      });
      if (signal.aborted) connection.#transport.close();
      await connection.#negotiate();
      if (settings.sasl) await authenticate(connection, settings.sasl, settings.randomBytes);
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  private constructor(settings: ConnectionSettings) {
    this.#settings = settings;
  }

  get address(): string {
    return this.#transport?.address ?? 'unknown';
  }

  get isClosed(): boolean {
    return this.#closedBy !== undefined;
  }

  get inFlightCount(): number {
    return this.#pending.size;
  }

  /** Called once, when the connection is lost or closed. */
  onClose(listener: () => void): void {
    if (this.isClosed) listener();
    else this.#onClose = listener;
  }

  /** The version of an API that both sides speak. @throws `UnsupportedVersionError` */
  versionOf(api: ApiSchema): number {
    const version = commonVersion(api, this.#served);
    if (version !== undefined) return version;
    const range = this.#served.get(api.key);
    const why = range === undefined ? 'it does not offer it' : `it offers versions ${range.min} to ${range.max}`;
    throw new UnsupportedVersionError(api.name, this.address, why);
  }

  /** Whether the broker serves this API in `version` or later. */
  serves(api: ApiSchema, version: number = 0): boolean {
    const common = commonVersion(api, this.#served);
    return common !== undefined && common >= version;
  }

  /**
   * Sends a request; resolves with the decoded answer, whose bytes are views on its frame.
   * @throws `RequestTimedOutError`, `DisconnectedError`, `UnsupportedVersionError`
   */
  request<A extends ApiSchema>(
    api: A,
    request: RequestInput<A>,
    options: { readonly version?: number | undefined; readonly timeoutMs?: number | undefined } = {},
  ): Promise<ResponseOf<A>> {
    const timeoutMs = options.timeoutMs ?? this.#settings.requestTimeoutMs;
    return new Promise((resolve, reject) => {
      if (this.#closedBy !== undefined) throw this.#closedBy;
      const version = options.version ?? this.versionOf(api);
      const correlationId = this.#nextCorrelationId();
      const frame = encodeRequest(api, version, { correlationId, clientId: this.#settings.clientId }, request);
      const cancelTimeout = this.#settings.clock.after(timeoutMs, () =>
        this.#fail(new RequestTimedOutError(api.name, this.address, timeoutMs)),
      );
      this.#pending.set(correlationId, { api, version, resolve, reject, cancelTimeout });
      this.#transport!.send(frame);
    });
  }

  /**
   * Sends a request that the broker does not answer: Produce with `acks` 0. Resolves when the socket has taken it.
   * @throws `RequestTimedOutError`, `DisconnectedError`, `UnsupportedVersionError`
   */
  sendOneWay<A extends ApiSchema>(api: A, request: RequestInput<A>): Promise<void> {
    const { clientId, clock, requestTimeoutMs } = this.#settings;
    return new Promise((resolve, reject) => {
      if (this.#closedBy !== undefined) throw this.#closedBy;
      const version = this.versionOf(api);
      const correlationId = this.#nextCorrelationId();
      const frame = encodeRequest(api, version, { correlationId, clientId }, request);
      const cancelTimeout = clock.after(requestTimeoutMs, () =>
        this.#fail(new RequestTimedOutError(api.name, this.address, requestTimeoutMs)),
      );
      this.#untaken.set(correlationId, { api, version, resolve, reject, cancelTimeout });
      this.#transport!.send(frame, () => {
        this.#untaken.delete(correlationId);
        cancelTimeout();
        resolve();
      });
    });
  }

  close(): void {
    if (this.isClosed) return;
    this.#transport?.close();
    this.#fail(new ClosedError('connection'));
  }

  async #negotiate(): Promise<void> {
    const software = { clientSoftwareName: 'millrace', clientSoftwareVersion: '0.1.0' };
    let answer: ResponseOf<typeof apis.apiVersions>;
    try {
      answer = await this.request(apis.apiVersions, software, { version: 3 });
    } catch (error) {
      if (!(error instanceof OldApiVersions)) throw error;
      answer = await this.request(apis.apiVersions, {}, { version: 0 });
    }
    if (answer.errorCode !== errorCodes.NONE) {
      throw new KafkaError(answer.errorCode, `ApiVersions of ${this.address}`);
    }
    this.#served = new Map(answer.apiKeys.map((api) => [api.apiKey, { min: api.minVersion, max: api.maxVersion }]));
  }

  #received(frame: Uint8Array): void {
    const correlationId = frame.length < 4 ? -1 : new DataView(frame.buffer, frame.byteOffset).getInt32(0);
    const pending = this.#pending.get(correlationId);
    if (pending === undefined) {
      // Every answer is awaited until its connection is closed: this one is not Kafka's.
      return this.#fail(new DisconnectedError(this.address, new Error(`an answer to no request (${correlationId})`)));
    }
    this.#pending.delete(correlationId);
    pending.cancelTimeout();
    if (isOldApiVersions(pending, frame)) return pending.reject(new OldApiVersions());
    let response: never;
    try {
      response = decodeResponse(pending.api, pending.version, frame) as never;
    } catch (error) {
      pending.reject(error as Error);
      return this.#fail(new DisconnectedError(this.address, error));
    }
    pending.resolve(response);
  }

  #closed(reason: Error | undefined): void {
    const { frameBytes, maxFrameBytes } = isMillraceError(reason, 'PROTOCOL_ERROR') ? reason.context : {};
    // The first answer of all tells that this is no broker, or speaks TLS; later ones are what they say.
    const isTooLarge = Number(frameBytes) > Number(maxFrameBytes) && this.#served.size > 0;
    const oldest = this.#pending.entries().next().value; // answers come in the order of the requests
    if (!isTooLarge || oldest === undefined) return this.#fail(new DisconnectedError(this.address, reason));
    const [correlationId, { api, reject, cancelTimeout }] = oldest;
    this.#pending.delete(correlationId);
    cancelTimeout();
    const error = new ResponseTooLargeError(api.name, this.address, Number(frameBytes), Number(maxFrameBytes));
    reject(error);
    this.#fail(new DisconnectedError(this.address, error));
  }

  #fail(error: Error): void {
    if (this.#closedBy !== undefined) return;
    this.#closedBy = error;
    if (!(error instanceof ClosedError)) this.#transport?.abort(error);
    for (const pending of [...this.#pending.values(), ...this.#untaken.values()]) {
      pending.cancelTimeout();
      pending.reject(error);
    }
    this.#pending.clear();
    this.#untaken.clear();
    this.#onClose?.();
  }

  #nextCorrelationId(): number {
    this.#correlationId = (this.#correlationId + 1) & 0x7fff_ffff;
    return this.#correlationId;
  }
}

/** A broker that does not know our version of ApiVersions says so in the layout of version 0 (KIP-511). */
class OldApiVersions extends Error {}

function isOldApiVersions(pending: Pending, frame: Uint8Array): boolean {
  if (pending.api.key !== apis.apiVersions.key || pending.version === 0 || frame.length < 6) return false;
  return new DataView(frame.buffer, frame.byteOffset).getInt16(4) === errorCodes.UNSUPPORTED_VERSION;
}
