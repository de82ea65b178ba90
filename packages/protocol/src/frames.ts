import type { ApiSchema, Decoded, Encodable, MessageSchema } from './schema.ts';

/** A frame as parts to write in order; the first begins with the length prefix. Stored record batches are parts of their own. */
export interface OutgoingFrame {
  readonly parts: readonly Uint8Array[];
  /** Of all parts, the prefix included. */
  readonly byteLength: number;
}

export interface RequestHeader {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly correlationId: number;
  readonly clientId: string | null;
}

export type RequestOf<A extends ApiSchema> = Decoded<A['request']['fields']>;
export type ResponseOf<A extends ApiSchema> = Decoded<A['response']['fields']>;
export type RequestInput<A extends ApiSchema> = Encodable<A['request']['fields']>;
export type ResponseInput<A extends ApiSchema> = Encodable<A['response']['fields']>;

/** @throws `UnsupportedFieldError` where a field that is not ignorable has a value that the version cannot carry */
export declare function encodeRequest<A extends ApiSchema>(
  api: A,
  version: number,
  header: { readonly correlationId: number; readonly clientId: string | null },
  request: RequestInput<A>,
): OutgoingFrame;
export declare function encodeResponse<A extends ApiSchema>(
  api: A,
  version: number,
  correlationId: number,
  response: ResponseInput<A>,
): OutgoingFrame;

/** `frame` is without its length prefix. @throws `ProtocolError` */
export declare function decodeRequestHeader(frame: Uint8Array): RequestHeader & { readonly bodyPosition: number };
/** @throws `ProtocolError` for truncated, oversized, negative or lying lengths, and for bytes left over */
export declare function decodeRequest<A extends ApiSchema>(
  api: A,
  version: number,
  frame: Uint8Array,
  bodyPosition: number,
): RequestOf<A>;
/** The correlation id is the first four bytes of the frame. */
export declare function decodeResponse<A extends ApiSchema>(api: A, version: number, frame: Uint8Array): ResponseOf<A>;

/** The payload of a record that Kafka defines as a schema with a version in front (`__consumer_offsets`, consumer protocol metadata). */
export declare function encodeMessage<S extends MessageSchema>(
  schema: S,
  version: number,
  value: Encodable<S['fields']>,
): Uint8Array;
export declare function decodeMessage<S extends MessageSchema>(
  schema: S,
  version: number,
  bytes: Uint8Array,
): Decoded<S['fields']>;

/** Cuts a byte stream into frames. A frame that came whole in one chunk is a view on it; only one that spans chunks is copied. */
export declare class FrameSplitter {
  /** @throws `ProtocolError` from `push` for a negative length or one above `maxFrameBytes`; never allocates what a peer only claims */
  constructor(options: { readonly maxFrameBytes: number });
  push(chunk: Uint8Array, onFrame: (frame: Uint8Array) => void): void;
  /** Bytes held of a frame that is not whole. */
  readonly pendingBytes: number;
}
