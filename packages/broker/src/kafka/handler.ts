import {
  decodeRequest,
  encodeResponse,
  type ApiSchema,
  type OutgoingFrame,
  type RequestHeader,
  type RequestOf,
  type ResponseInput,
} from '@millrace/protocol';

/** Who asks, and how. One object for each connection. */
export interface ConnectionContext {
  /** Kafka's spelling of the peer's address: `/127.0.0.1`. */
  readonly clientHost: string;
  /** What this listener's clients are told to connect to. */
  readonly advertised: { readonly host: string; readonly port: number };
  /** `User:ANONYMOUS` unless the client has authenticated. */
  readonly principal: string;
  readonly isClosed: boolean;
  /** For what is parked: the client has gone. Called once; gives the removal. */
  onClose(listener: () => void): () => void;
}

export interface RequestContext {
  readonly apiVersion: number;
  /** Empty where the client gave none. */
  readonly clientId: string;
  readonly connection: ConnectionContext;
}

/** What the server knows of a handler: bytes in, a frame out. null: no response is due (`acks=0`). */
export interface Handler {
  readonly apiKey: number;
  readonly name: string;
  readonly minVersion: number;
  readonly maxVersion: number;
  /**
   * May begin while earlier requests of its connection, of this kind too, are not answered yet. Produce alone: it appends in
   * the turn it begins and then merely waits for the disk. All else is handled one at a time, as Kafka does.
   */
  readonly overlaps: boolean;
  /** @throws `ProtocolError`: the frame is malformed. Whatever else is thrown closes the connection too, and is logged. */
  respond(
    frame: Uint8Array,
    header: RequestHeader & { readonly bodyPosition: number },
    connection: ConnectionContext,
  ): OutgoingFrame | null | Promise<OutgoingFrame | null>;
}

/**
 * Makes a handler of a typed function. The decoded request holds views on the frame: copy what outlives the response.
 * Answer at once where that is possible: a promise costs a turn.
 *
 *     export function heartbeat(groups: GroupCoordinator): Handler {
 *       return handlerOf(apis.heartbeat, [0, 4], (request, context) => ({ errorCode: … }));
 *     }
 *
 * @param versions the range that ApiVersions advertises: only what works
 */
export function handlerOf<A extends ApiSchema>(
  api: A,
  versions: readonly [min: number, max: number],
  handle: (
    request: RequestOf<A>,
    context: RequestContext,
  ) => ResponseInput<A> | null | Promise<ResponseInput<A> | null>,
  options: { readonly overlaps: boolean } = { overlaps: false },
): Handler {
  return {
    apiKey: api.key,
    name: api.name,
    minVersion: versions[0],
    maxVersion: versions[1],
    overlaps: options.overlaps,
    respond(frame, header, connection) {
      const { apiVersion, correlationId } = header;
      const request = decodeRequest(api, apiVersion, frame, header.bodyPosition);
      const response = handle(request, { apiVersion, clientId: header.clientId ?? '', connection });
      if (response === null) return null;
      if (response instanceof Promise) {
        return response.then((settled) =>
          settled === null ? null : encodeResponse(api, apiVersion, correlationId, settled),
        );
      }
      return encodeResponse(api, apiVersion, correlationId, response);
    },
  };
}

/** The handlers by key: what ApiVersions advertises and the server dispatches to. */
export class HandlerRegistry {
  readonly #byKey: (Handler | undefined)[] = [];

  constructor(handlers: readonly Handler[]) {
    for (const handler of handlers) this.#byKey[handler.apiKey] = handler;
  }

  /** undefined: no such API, or not in this version. */
  find(apiKey: number, apiVersion: number): Handler | undefined {
    const handler = this.#byKey[apiKey];
    return handler !== undefined && apiVersion >= handler.minVersion && apiVersion <= handler.maxVersion
      ? handler
      : undefined;
  }

  /** In the order of their keys. */
  get all(): readonly Handler[] {
    return this.#byKey.filter((handler) => handler !== undefined);
  }
}
