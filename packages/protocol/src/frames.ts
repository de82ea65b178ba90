import { findVersion, versionOf } from './codec/compiled.ts';
import { Reader } from './codec/reader.ts';
import { includesVersion, parseVersionRange, type VersionBounds } from './codec/versions.ts';
import { stringBytes, Writer } from './codec/writer.ts';
import { ProtocolError } from './errors.ts';
import * as apis from './messages/index.ts';
import type { ApiSchema, Decoded, Encodable, MessageSchema } from './schema.ts';

/** A frame as parts to write in order; the first begins with the length prefix. Stored record batches are parts of their own. */
export interface OutgoingFrame {
  readonly parts: readonly Uint8Array[];
  /** Of all parts, the prefix included. */
  readonly byteLength: number;
}

/** What every request begins with. */
export interface RequestHeader {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly correlationId: number;
  readonly clientId: string | null;
}

/** A request of an API as it is decoded. */
export type RequestOf<A extends ApiSchema> = Decoded<A['request']['fields']>;
/** A response of an API as it is decoded. */
export type ResponseOf<A extends ApiSchema> = Decoded<A['response']['fields']>;
/** What `encodeRequest` takes for an API. */
export type RequestInput<A extends ApiSchema> = Encodable<A['request']['fields']>;
/** What `encodeResponse` takes for an API. */
export type ResponseInput<A extends ApiSchema> = Encodable<A['response']['fields']>;

const prefixBytes = 4;
/**
 * In all arrays of a request together. An element takes a byte or a few of the frame and up to a hundred of memory: without
 * a limit, one Produce request of 100 MiB would take 3.4 GB. None that means something comes near it.
 */
const maxRequestElements = 1_000_000;
/** ApiVersions is answered without tags in the header, always: the client may not know flexible headers yet (KIP-511). */
const apiVersionsKey = 18;
const apisByKey: ReadonlyMap<number, ApiSchema> = new Map(Object.values(apis).map((api) => [api.key, api]));

/**
 * One is enough: encoding is synchronous and never nested.
 *
 * Measured on Node 20 with all APIs warm: a Produce request of one partition is encoded in 650 ns and decoded in 260 (its header
 * 120 more), its response in 550 and 410; a Fetch response of ten partitions in 3.0 µs each way.
 */
const writer = new Writer();

/** The versions of an API that this package knows, both ends included. */
export function versionRange(api: ApiSchema): VersionBounds {
  return parseVersionRange(api.request.validVersions);
}

/** The highest version of an API that this package knows. */
export function latestVersion(api: ApiSchema): number {
  return versionRange(api).max;
}

/** The API with this key, if this package knows it. */
export function apiOf(apiKey: number): ApiSchema | undefined {
  return apisByKey.get(apiKey);
}

/**
 * @throws `UnsupportedFieldError` where a field that is not ignorable has a value that the version cannot carry
 * @throws `UnsupportedVersionError` where the API has no such version
 * @throws `ProtocolError` where a value does not fit its field
 */
export function encodeRequest<A extends ApiSchema>(
  api: A,
  version: number,
  header: { readonly correlationId: number; readonly clientId: string | null },
  request: RequestInput<A>,
): OutgoingFrame {
  const { encoder, isFlexible } = versionOf(api.request, version);
  const { clientId } = header;
  writer.reset();
  writer.field = 'clientId';
  const clientIdBytes = clientId === null ? -1 : stringBytes(clientId);
  const headerBytes = 10 + Math.max(clientIdBytes, 0) + (isFlexible ? 1 : 0);
  const bytes = headerBytes + encoder.measure(writer, request);
  const byteLength = prefixBytes + bytes + writer.recordsBytes;
  writer.allocate(prefixBytes + bytes);
  writer.field = 'header';
  writer.int32(byteLength - prefixBytes);
  writer.int16(api.key);
  writer.int16(version);
  writer.int32(header.correlationId);
  writer.field = 'clientId';
  writer.int16(clientIdBytes);
  if (clientId !== null) writer.string(clientId, clientIdBytes);
  if (isFlexible) writer.unsignedVarint(0);
  encoder.write(writer, request);
  return { parts: writer.finish(), byteLength };
}

/**
 * @throws `UnsupportedFieldError` where a field that is not ignorable has a value that the version cannot carry
 * @throws `UnsupportedVersionError` where the API has no such version
 * @throws `ProtocolError` where a value does not fit its field
 */
export function encodeResponse<A extends ApiSchema>(
  api: A,
  version: number,
  correlationId: number,
  response: ResponseInput<A>,
): OutgoingFrame {
  const { encoder, isFlexible } = versionOf(api.response, version);
  const hasTags = isFlexible && api.key !== apiVersionsKey;
  writer.reset();
  const bytes = 4 + (hasTags ? 1 : 0) + encoder.measure(writer, response);
  const byteLength = prefixBytes + bytes + writer.recordsBytes;
  writer.allocate(prefixBytes + bytes);
  writer.field = 'header';
  writer.int32(byteLength - prefixBytes);
  writer.int32(correlationId);
  if (hasTags) writer.unsignedVarint(0);
  encoder.write(writer, response);
  return { parts: writer.finish(), byteLength };
}

/**
 * Also of requests whose key or version we do not know, as ApiVersions must be answered then (KIP-511): their client id is
 * null if it cannot be read, and their body begins wherever the header seems to end. `frame` is without its length prefix.
 * @throws `ProtocolError`
 */
export function decodeRequestHeader(frame: Uint8Array): RequestHeader & { readonly bodyPosition: number } {
  const reader = new Reader(frame);
  const apiKey = reader.int16();
  const apiVersion = reader.int16();
  const correlationId = reader.int32();
  const api = apisByKey.get(apiKey);
  const known = api === undefined ? undefined : findVersion(api.request, apiVersion);
  let clientId: string | null = null;
  try {
    reader.field = 'clientId';
    const length = reader.int16();
    if (length < -1) throw reader.malformed(`has the negative length ${length}`);
    if (length >= 0) clientId = reader.string(length);
    const isFlexible =
      known?.isFlexible ?? (api !== undefined && includesVersion(api.request.flexibleVersions, apiVersion));
    if (isFlexible) reader.skipTaggedFields();
  } catch (error) {
    if (known !== undefined) throw error;
    reader.position = reader.end;
  }
  return { apiKey, apiVersion, correlationId, clientId, bodyPosition: reader.framePosition };
}

/**
 * @throws `ProtocolError` for truncated, oversized, negative or lying lengths, for bytes left over, and for arrays of more than
 * a million elements together
 * @throws `UnsupportedVersionError` where the API has no such version
 */
export function decodeRequest<A extends ApiSchema>(
  api: A,
  version: number,
  frame: Uint8Array,
  bodyPosition: number,
): RequestOf<A> {
  return decodeBody(api.request, version, new Reader(frame, bodyPosition, maxRequestElements)) as RequestOf<A>;
}

/**
 * The correlation id is the first four bytes of the frame, which is without its length prefix.
 * @throws `ProtocolError` for truncated, oversized, negative or lying lengths, and for bytes left over
 * @throws `UnsupportedVersionError` where the API has no such version
 */
export function decodeResponse<A extends ApiSchema>(api: A, version: number, frame: Uint8Array): ResponseOf<A> {
  const reader = new Reader(frame);
  reader.skip(4);
  if (api.key !== apiVersionsKey && versionOf(api.response, version).isFlexible) reader.skipTaggedFields();
  return decodeBody(api.response, version, reader) as ResponseOf<A>;
}

/**
 * The payload of a record that Kafka defines as a schema with a version in front (`__consumer_offsets`, consumer protocol
 * metadata). The version is written in front as an int16.
 * @throws `UnsupportedFieldError`, `UnsupportedVersionError`, `ProtocolError`
 */
export function encodeMessage<S extends MessageSchema>(
  schema: S,
  version: number,
  value: Encodable<S['fields']>,
): Uint8Array {
  const { encoder } = versionOf(schema, version);
  writer.reset();
  writer.allocate(2 + encoder.measure(writer, value));
  writer.int16(version);
  encoder.write(writer, value);
  return writer.finish()[0]!;
}

/** The version in front of such a payload. @throws `ProtocolError` for less than two bytes */
export function messageVersion(bytes: Uint8Array): number {
  const reader = new Reader(bytes);
  reader.field = 'version';
  return reader.int16();
}

/**
 * Reads what `encodeMessage` wrote, the version in front included. A payload of a higher version is read as `version`, and
 * what it has beyond is ignored, as Kafka does with the consumer protocol: pass the highest version known then.
 * @throws `ProtocolError`, also for a payload of a lower version
 * @throws `UnsupportedVersionError` where the schema has no such version
 */
export function decodeMessage<S extends MessageSchema>(
  schema: S,
  version: number,
  bytes: Uint8Array,
): Decoded<S['fields']> {
  const reader = new Reader(bytes);
  const { decoder } = versionOf(schema, version);
  reader.field = 'version';
  const written = reader.int16();
  if (written < version) throw reader.malformed(`is ${written}, but version ${version} was asked for`);
  const value = decoder.read(reader) as Decoded<S['fields']>;
  if (written === version) checkEnd(schema, reader);
  return value;
}

function decodeBody(schema: MessageSchema, version: number, reader: Reader): unknown {
  const value = versionOf(schema, version).decoder.read(reader);
  checkEnd(schema, reader);
  return value;
}

function checkEnd(schema: MessageSchema, reader: Reader): void {
  if (reader.remaining === 0) return;
  throw new ProtocolError(
    `${schema.name} leaves ${reader.remaining} bytes after byte ${reader.framePosition} unread.`,
    {
      message: schema.name,
      remaining: reader.remaining,
    },
  );
}
