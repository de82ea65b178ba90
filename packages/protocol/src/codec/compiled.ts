import { UnsupportedVersionError } from '../errors.ts';
import type { MessageSchema } from '../schema.ts';
import { compileDecoder, type Decoder } from './decoder.ts';
import { compileEncoder, type Encoder } from './encoder.ts';
import { includesVersion } from './versions.ts';

/** One version of a message. Its codecs are compiled when first used: a process speaks a few versions of a few messages. */
export class MessageVersion {
  readonly isFlexible: boolean;
  readonly #schema: MessageSchema;
  readonly #version: number;
  #encoder: Encoder | null = null;
  #decoder: Decoder | null = null;

  constructor(schema: MessageSchema, version: number) {
    this.isFlexible = includesVersion(schema.flexibleVersions, version);
    this.#schema = schema;
    this.#version = version;
  }

  get encoder(): Encoder {
    return (this.#encoder ??= compileEncoder(this.#schema, this.#version));
  }

  get decoder(): Decoder {
    return (this.#decoder ??= compileDecoder(this.#schema, this.#version));
  }
}

/** By version. */
const known = new WeakMap<MessageSchema, (MessageVersion | undefined)[]>();

/** Undefined where the schema has no such version. */
export function findVersion(schema: MessageSchema, version: number): MessageVersion | undefined {
  let versions = known.get(schema);
  if (versions === undefined) known.set(schema, (versions = []));
  const found = versions[version];
  if (found !== undefined) return found;
  if (!Number.isInteger(version) || !includesVersion(schema.validVersions, version)) return undefined;
  return (versions[version] = new MessageVersion(schema, version));
}

/** @throws `UnsupportedVersionError` */
export function versionOf(schema: MessageSchema, version: number): MessageVersion {
  const found = findVersion(schema, version);
  if (found !== undefined) return found;
  throw new UnsupportedVersionError(schema.name, version, schema.validVersions);
}
