import type { StandardSchemaV1 } from '@standard-schema/spec';
import { AsyncSchemaError, InvalidValueError, UndecodableError, UnencodableError } from './errors.ts';
import type { Serde, SerdeContext } from './serde.ts';
import { decodeText } from './text.ts';

/**
 * JSON. With a Standard Schema (zod, valibot, arktype) every value read is validated and has the schema's output type;
 * without one it is trusted: `json<Order>()`. What is written is trusted either way. A schema must accept what JSON makes of
 * its own output.
 *
 * NaN and Infinity become null in JSON: keep them out, or use `float64`.
 * @throws {InvalidValueError} with the schema's issues, or what it threw
 * @throws {AsyncSchemaError} when `validate` returns a promise
 */
export function json<T>(): Serde<T>;
export function json<S extends StandardSchemaV1>(schema: S): Serde<StandardSchemaV1.InferOutput<S>>;
export function json(schema?: StandardSchemaV1): Serde<unknown> {
  return schema === undefined ? trusted : { ...trusted, deserialize: validating(schema) };
}

const trusted: Serde<unknown> = { name: 'json', serialize, deserialize: parse };

function serialize(value: unknown, context: SerdeContext): Uint8Array {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw new UnencodableError('json', cause instanceof Error ? cause.message : String(cause), context, cause);
  }
  if (text === undefined) throw new UnencodableError('json', `JSON has no ${typeof value}`, context);
  return Buffer.from(text);
}

function parse(data: Uint8Array, context: SerdeContext): unknown {
  const text = decodeText('json', data, context);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new UndecodableError('json', cause instanceof Error ? cause.message : String(cause), context, cause);
  }
}

function validating(schema: StandardSchemaV1): (data: Uint8Array, context: SerdeContext) => unknown {
  const standard = schema['~standard'];
  return (data, context) => {
    const value = parse(data, context);
    let result: ReturnType<typeof standard.validate>;
    try {
      result = standard.validate(value);
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new InvalidValueError([{ path: '', message }], context, cause);
    }
    if ('then' in result) {
      Promise.resolve(result).catch(() => undefined); // refused below; its own outcome means nothing any more
      throw new AsyncSchemaError(standard.vendor, context);
    }
    if (result.issues !== undefined) {
      throw new InvalidValueError(
        result.issues.map(({ path = [], message }) => ({
          path: path.map((segment) => String(typeof segment === 'object' ? segment.key : segment)).join('.'),
          message,
        })),
        context,
      );
    }
    return result.value;
  };
}
