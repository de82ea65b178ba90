import type { Field, MessageSchema, PrimitiveType } from '../schema.ts';
import { defaultOf } from './defaults.ts';
import type { Reader } from './reader.ts';
import { includesVersion } from './versions.ts';

/** Reads one type in one version. */
export interface Decoder {
  /** The fewest bytes a value takes: what an array's claimed count is checked against before anything is allocated. */
  readonly minBytes: number;
  read(reader: Reader): unknown;
}

interface Context {
  readonly version: number;
  readonly isFlexible: boolean;
}

/** A schema's decoder for one version: all questions about versions are answered here, once. */
export function compileDecoder(schema: MessageSchema, version: number): Decoder {
  return structDecoder(schema.fields, { version, isFlexible: includesVersion(schema.flexibleVersions, version) });
}

function fieldDecoder(field: Field, context: Context): Decoder {
  const { type } = field;
  const isNullable = includesVersion(field.nullable, context.version);
  if (field.isArray) {
    const element =
      typeof type === 'string' ? primitiveDecoder(type, false, false, context) : structDecoder(type, context);
    return arrayDecoder(element, isNullable, context);
  }
  if (typeof type === 'string') return primitiveDecoder(type, isNullable, field.isClamped === true, context);
  const struct = structDecoder(type, context);
  return isNullable ? nullableStruct(struct) : struct;
}

function structDecoder(fields: readonly Field[], context: Context): Decoder {
  const { version, isFlexible } = context;
  const names: string[] = [];
  const reads: ((reader: Reader) => unknown)[] = [];
  const tagged = new Map<number, { readonly name: string; readonly decoder: Decoder }>();
  let minBytes = isFlexible ? 1 : 0;
  for (const field of fields) {
    names.push(field.name);
    if (!includesVersion(field.versions, version)) {
      reads.push(defaultOf(field));
      continue;
    }
    const decoder = fieldDecoder(field, context);
    if (isFlexible && field.tag !== undefined && includesVersion(field.taggedVersions, version)) {
      tagged.set(field.tag, { name: field.name, decoder });
      reads.push(defaultOf(field));
    } else {
      minBytes += decoder.minBytes;
      reads.push((reader) => decoder.read(reader));
    }
  }

  const readTagged = (reader: Reader, struct: Record<string, unknown>): void => {
    for (let left = reader.unsignedVarint(); left > 0; left--) {
      reader.field = 'tagged fields';
      const tag = reader.unsignedVarint();
      const size = reader.unsignedVarint();
      const known = tagged.get(tag);
      if (known === undefined) {
        reader.skip(size);
        continue;
      }
      const { end } = reader;
      if (size > reader.remaining) throw reader.malformed(`claims ${size} bytes, but ${reader.remaining} are left`);
      reader.end = reader.position + size;
      reader.field = known.name;
      struct[known.name] = known.decoder.read(reader);
      if (reader.remaining > 0) throw reader.malformed(`leaves ${reader.remaining} bytes of its tag unread`);
      reader.end = end;
    }
  };

  return {
    minBytes,
    read(reader) {
      const struct: Record<string, unknown> = {};
      for (let i = 0; i < names.length; i++) {
        const name = names[i]!;
        reader.field = name;
        struct[name] = reads[i]!(reader);
      }
      if (isFlexible) {
        reader.field = 'tagged fields';
        if (tagged.size > 0) readTagged(reader, struct);
        else reader.skipTaggedFields();
      }
      return struct;
    },
  };
}

function nullableStruct(struct: Decoder): Decoder {
  return {
    minBytes: 1,
    read(reader) {
      const presence = reader.int8();
      if (presence === -1) return null;
      if (presence !== 1) throw reader.malformed(`is neither null nor present: ${presence}`);
      return struct.read(reader);
    },
  };
}

function arrayDecoder(element: Decoder, isNullable: boolean, { isFlexible }: Context): Decoder {
  const elementBytes = Math.max(element.minBytes, 1);
  return {
    minBytes: isFlexible ? 1 : 4,
    read(reader) {
      const count = isFlexible ? reader.unsignedVarint() - 1 : reader.int32();
      if (count < 0) return nothing(reader, count, isNullable);
      if (count * elementBytes > reader.remaining) {
        throw reader.malformed(`claims ${count} elements, but ${reader.remaining} bytes are left`);
      }
      reader.takeElements(count);
      const { field } = reader;
      // Not `new Array(count)`: an array with holes stays a slow one.
      const array: unknown[] = [];
      for (let i = 0; i < count; i++) {
        reader.field = field;
        array.push(element.read(reader));
      }
      return array;
    },
  };
}

function nothing(reader: Reader, length: number, isNullable: boolean): null {
  if (length !== -1) throw reader.malformed(`has the negative length ${length}`);
  if (!isNullable) throw reader.malformed('is null, which this version does not allow');
  return null;
}

/** Kafka's limit, of compact strings too. */
const maxStringBytes = 32_767;

function primitiveDecoder(type: PrimitiveType, isNullable: boolean, isClamped: boolean, context: Context): Decoder {
  const { isFlexible } = context;
  switch (type) {
    case 'bool':
      return { minBytes: 1, read: (reader) => reader.int8() !== 0 };
    case 'int8':
      return { minBytes: 1, read: (reader) => reader.int8() };
    case 'int16':
      return { minBytes: 2, read: (reader) => reader.int16() };
    case 'uint16':
      return { minBytes: 2, read: (reader) => reader.uint16() };
    case 'int32':
      return { minBytes: 4, read: (reader) => reader.int32() };
    case 'uint32':
      return { minBytes: 4, read: (reader) => reader.uint32() };
    case 'int64':
      return { minBytes: 8, read: isClamped ? (reader) => reader.clampedInt64() : (reader) => reader.int64() };
    case 'float64':
      return { minBytes: 8, read: (reader) => reader.float64() };
    case 'uuid':
      return { minBytes: 16, read: (reader) => reader.uuid() };
    case 'string':
      return {
        minBytes: isFlexible ? 1 : 2,
        read(reader) {
          const length = isFlexible ? reader.unsignedVarint() - 1 : reader.int16();
          if (length < 0) return nothing(reader, length, isNullable);
          if (length > maxStringBytes)
            throw reader.malformed(`is a string of ${length} bytes, above ${maxStringBytes}`);
          return reader.string(length);
        },
      };
    case 'bytes':
    case 'records':
      return {
        minBytes: isFlexible ? 1 : 4,
        read(reader) {
          const length = isFlexible ? reader.unsignedVarint() - 1 : reader.int32();
          return length < 0 ? nothing(reader, length, isNullable) : reader.bytes(length);
        },
      };
  }
}
