import { UnsupportedFieldError } from '../errors.ts';
import type { Field, MessageSchema, PrimitiveType } from '../schema.ts';
import { defaultOf, isDefault } from './defaults.ts';
import { includesVersion } from './versions.ts';
import { stringBytes, unsignedVarintBytes, type Writer } from './writer.ts';

/**
 * Writes one type in one version. `measure` gives the bytes that `write` will take of the buffer and queues the lengths it
 * finds, in the order in which `write` needs them.
 */
export interface Encoder {
  /** Set where every value takes as many bytes and `measure` queues nothing. */
  readonly fixedBytes: number | undefined;
  measure(writer: Writer, value: unknown): number;
  write(writer: Writer, value: unknown): void;
}

interface Context {
  readonly schema: MessageSchema;
  readonly version: number;
  readonly isFlexible: boolean;
}

/** A schema's encoder for one version: all questions about versions are answered here, once. */
export function compileEncoder(schema: MessageSchema, version: number): Encoder {
  const isFlexible = includesVersion(schema.flexibleVersions, version);
  return structEncoder(schema.fields, '', { schema, version, isFlexible });
}

function fieldEncoder(field: Field, path: string, context: Context): Encoder {
  const { type } = field;
  const element = typeof type === 'string' ? primitiveEncoder(type, path, context) : structEncoder(type, path, context);
  const isNullable = includesVersion(field.nullable, context.version);
  if (field.isArray) return arrayEncoder(element, isNullable, path, context);
  if (typeof type !== 'string') return isNullable ? nullableStruct(element) : element;
  if (type === 'string') return isNullable ? stringEncoder(context.isFlexible) : refusingNull(element, path, context);
  if (type === 'bytes' || type === 'records') return isNullable ? element : refusingNull(element, path, context);
  return element;
}

interface Step {
  readonly name: string;
  readonly encoder: Encoder;
  readonly makeDefault: () => unknown;
}

function structEncoder(fields: readonly Field[], path: string, context: Context): Encoder {
  const { version, isFlexible, schema } = context;
  const prefix = path === '' ? '' : `${path}.`;
  const steps: Step[] = [];
  const tagged: (Step & { readonly tag: number; readonly isDefault: (value: unknown) => boolean })[] = [];
  const forbidden: { readonly name: string; readonly isDefault: (value: unknown) => boolean }[] = [];
  for (const field of fields) {
    if (!includesVersion(field.versions, version)) {
      if (!field.ignorable) forbidden.push({ name: field.name, isDefault: isDefault(field) });
      continue;
    }
    const encoder = fieldEncoder(field, `${prefix}${field.name}`, context);
    const step = { name: field.name, encoder, makeDefault: defaultOf(field) };
    if (isFlexible && field.tag !== undefined && includesVersion(field.taggedVersions, version)) {
      tagged.push({ ...step, tag: field.tag, isDefault: isDefault(field) });
    } else {
      steps.push(step);
    }
  }
  tagged.sort((a, b) => a.tag - b.tag);
  const sumOfFixed = steps.reduce<number | undefined>(
    (sum, { encoder }) =>
      sum === undefined || encoder.fixedBytes === undefined ? undefined : sum + encoder.fixedBytes,
    isFlexible ? 1 : 0,
  );
  const fixedBytes = tagged.length > 0 || forbidden.length > 0 ? undefined : sumOfFixed;

  const measureTagged = (writer: Writer, struct: Readonly<Record<string, unknown>>): number => {
    const countAt = writer.queue(0);
    let count = 0;
    let bytes = 0;
    for (const step of tagged) {
      const value = struct[step.name];
      const sizeAt = writer.queue(-1);
      if (step.isDefault(value)) continue;
      writer.field = step.name;
      const size = step.encoder.measure(writer, value);
      writer.setQueued(sizeAt, size);
      bytes += unsignedVarintBytes(step.tag) + unsignedVarintBytes(size) + size;
      count++;
    }
    writer.setQueued(countAt, count);
    return bytes + unsignedVarintBytes(count);
  };
  const writeTagged = (writer: Writer, struct: Readonly<Record<string, unknown>>): void => {
    writer.unsignedVarint(writer.next());
    for (const step of tagged) {
      const size = writer.next();
      if (size < 0) continue;
      writer.unsignedVarint(step.tag);
      writer.unsignedVarint(size);
      writer.field = step.name;
      step.encoder.write(writer, struct[step.name]);
    }
  };

  return {
    fixedBytes,
    measure(writer, value) {
      if (value === null || typeof value !== 'object') throw writer.refusal(`not an object: ${typeof value}`);
      const struct = value as Readonly<Record<string, unknown>>;
      for (const { name, isDefault: isAbsent } of forbidden) {
        if (!isAbsent(struct[name])) {
          throw new UnsupportedFieldError(schema.name, version, `${prefix}${name}`, 'the version has no such field');
        }
      }
      let bytes = 0;
      for (const step of steps) {
        const { encoder } = step;
        if (encoder.fixedBytes !== undefined) {
          bytes += encoder.fixedBytes;
          continue;
        }
        writer.field = step.name;
        const given = struct[step.name];
        bytes += encoder.measure(writer, given === undefined ? step.makeDefault() : given);
      }
      if (isFlexible) bytes += tagged.length === 0 ? 1 : measureTagged(writer, struct);
      return bytes;
    },
    write(writer, value) {
      if (value === null || typeof value !== 'object') throw writer.refusal(`not an object: ${typeof value}`);
      const struct = value as Readonly<Record<string, unknown>>;
      for (const step of steps) {
        writer.field = step.name;
        const given = struct[step.name];
        step.encoder.write(writer, given === undefined ? step.makeDefault() : given);
      }
      if (isFlexible) {
        if (tagged.length === 0) writer.unsignedVarint(0);
        else writeTagged(writer, struct);
      }
    },
  };
}

/** One byte in front: −1 null, 1 present. */
function nullableStruct(struct: Encoder): Encoder {
  return {
    fixedBytes: undefined,
    measure: (writer, value) => (value === null ? 1 : 1 + struct.measure(writer, value)),
    write(writer, value) {
      writer.int8(value === null ? -1 : 1);
      if (value !== null) struct.write(writer, value);
    },
  };
}

function arrayEncoder(element: Encoder, isNullable: boolean, path: string, context: Context): Encoder {
  const { isFlexible } = context;
  const { fixedBytes } = element;
  return {
    fixedBytes: undefined,
    measure(writer, value) {
      if (value === null) {
        if (!isNullable) throw noNull(path, context);
        return isFlexible ? 1 : 4;
      }
      if (!Array.isArray(value)) throw writer.refusal(`not an array: ${typeof value}`);
      let bytes = isFlexible ? unsignedVarintBytes(value.length + 1) : 4;
      if (fixedBytes !== undefined) return bytes + value.length * fixedBytes;
      for (const item of value as readonly unknown[]) bytes += element.measure(writer, item);
      return bytes;
    },
    write(writer, value) {
      const array = value as readonly unknown[] | null;
      if (isFlexible) writer.unsignedVarint(array === null ? 0 : array.length + 1);
      else writer.int32(array === null ? -1 : array.length);
      if (array !== null) for (const item of array) element.write(writer, item);
    },
  };
}

function refusingNull(encoder: Encoder, path: string, context: Context): Encoder {
  return {
    fixedBytes: undefined,
    measure(writer, value) {
      if (value === null) throw noNull(path, context);
      return encoder.measure(writer, value);
    },
    write: (writer, value) => encoder.write(writer, value),
  };
}

function noNull(path: string, { schema, version }: Context): UnsupportedFieldError {
  return new UnsupportedFieldError(schema.name, version, path, 'it cannot be null');
}

function primitiveEncoder(type: PrimitiveType, _path: string, { isFlexible }: Context): Encoder {
  switch (type) {
    case 'bool':
      return {
        fixedBytes: 1,
        measure: () => 1,
        write(writer, value) {
          if (typeof value !== 'boolean') throw writer.refusal(`not a boolean: ${typeof value}`);
          writer.int8(value ? 1 : 0);
        },
      };
    case 'int8':
      return { fixedBytes: 1, measure: () => 1, write: (writer, value) => writer.int8(value) };
    case 'int16':
      return { fixedBytes: 2, measure: () => 2, write: (writer, value) => writer.int16(value) };
    case 'uint16':
      return { fixedBytes: 2, measure: () => 2, write: (writer, value) => writer.uint16(value) };
    case 'int32':
      return { fixedBytes: 4, measure: () => 4, write: (writer, value) => writer.int32(value) };
    case 'uint32':
      return { fixedBytes: 4, measure: () => 4, write: (writer, value) => writer.uint32(value) };
    case 'int64':
      return { fixedBytes: 8, measure: () => 8, write: (writer, value) => writer.int64(value) };
    case 'float64':
      return { fixedBytes: 8, measure: () => 8, write: (writer, value) => writer.float64(value) };
    case 'uuid':
      return { fixedBytes: 16, measure: () => 16, write: (writer, value) => writer.uuid(value) };
    case 'string':
      return stringEncoder(isFlexible);
    case 'bytes':
      return bytesEncoder(isFlexible);
    case 'records':
      return recordsEncoder(isFlexible);
  }
}

/** Kafka's limit, of compact strings too. */
const maxStringBytes = 32_767;

function stringEncoder(isFlexible: boolean): Encoder {
  return {
    fixedBytes: undefined,
    measure(writer, value) {
      if (value === null) {
        writer.queue(-1);
        return isFlexible ? 1 : 2;
      }
      if (typeof value !== 'string') throw writer.refusal(`not a string: ${typeof value}`);
      const bytes = stringBytes(value);
      if (bytes > maxStringBytes) throw writer.refusal(`a string of ${bytes} bytes exceeds ${maxStringBytes}`);
      writer.queue(bytes);
      return (isFlexible ? unsignedVarintBytes(bytes + 1) : 2) + bytes;
    },
    write(writer, value) {
      const bytes = writer.next();
      if (isFlexible) writer.unsignedVarint(bytes + 1);
      else writer.int16(bytes);
      if (bytes > 0) writer.string(value as string, bytes);
    },
  };
}

function bytesEncoder(isFlexible: boolean): Encoder {
  return {
    fixedBytes: undefined,
    measure(writer, value) {
      if (value === null) return isFlexible ? 1 : 4;
      if (!(value instanceof Uint8Array)) throw writer.refusal(`not a Uint8Array: ${typeof value}`);
      return (isFlexible ? unsignedVarintBytes(value.byteLength + 1) : 4) + value.byteLength;
    },
    write(writer, value) {
      const bytes = value as Uint8Array | null;
      writeLength(writer, isFlexible, bytes === null ? -1 : bytes.byteLength);
      if (bytes !== null) writer.bytes(bytes);
    },
  };
}

/** The batches become parts of the frame: neither measured into the buffer nor copied. */
function recordsEncoder(isFlexible: boolean): Encoder {
  return {
    fixedBytes: undefined,
    measure(writer, value) {
      let bytes = -1;
      if (value instanceof Uint8Array) {
        bytes = value.byteLength;
      } else if (Array.isArray(value)) {
        bytes = 0;
        for (const part of value as readonly unknown[]) {
          if (!(part instanceof Uint8Array)) throw writer.refusal(`a part is not a Uint8Array: ${typeof part}`);
          bytes += part.byteLength;
        }
      } else if (value !== null) {
        throw writer.refusal(`neither a Uint8Array nor an array of them: ${typeof value}`);
      }
      writer.queue(bytes);
      if (bytes > 0) writer.addRecordsBytes(bytes);
      return isFlexible ? unsignedVarintBytes(bytes + 1) : 4;
    },
    write(writer, value) {
      writeLength(writer, isFlexible, writer.next());
      if (value === null) return;
      if (value instanceof Uint8Array) writer.part(value);
      else for (const part of value as readonly Uint8Array[]) writer.part(part);
    },
  };
}

function writeLength(writer: Writer, isFlexible: boolean, byteLength: number): void {
  if (isFlexible) writer.unsignedVarint(byteLength + 1);
  else writer.int32(byteLength);
}
