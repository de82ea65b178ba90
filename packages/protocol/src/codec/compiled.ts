import { UnsupportedVersionError } from '../errors.ts';
import type { MessageSchema } from '../schema.ts';
import { compileDecoder, type Decoder } from './decoder.ts';
import { compileEncoder, type Encoder } from './encoder.ts';
import { includesVersion } from './versions.ts';

/** Compiled when first used: a process speaks a few versions of a few messages. */
const encoders = new WeakMap<MessageSchema, (Encoder | undefined)[]>();
const decoders = new WeakMap<MessageSchema, (Decoder | undefined)[]>();

/** @throws `UnsupportedVersionError` */
export function encoderOf(schema: MessageSchema, version: number): Encoder {
  let versions = encoders.get(schema);
  if (versions === undefined) encoders.set(schema, (versions = []));
  return (versions[version] ??= compileEncoder(schema, checkedVersion(schema, version)));
}

/** @throws `UnsupportedVersionError` */
export function decoderOf(schema: MessageSchema, version: number): Decoder {
  let versions = decoders.get(schema);
  if (versions === undefined) decoders.set(schema, (versions = []));
  return (versions[version] ??= compileDecoder(schema, checkedVersion(schema, version)));
}

function checkedVersion(schema: MessageSchema, version: number): number {
  if (Number.isInteger(version) && includesVersion(schema.validVersions, version)) return version;
  throw new UnsupportedVersionError(schema.name, version, schema.validVersions);
}
