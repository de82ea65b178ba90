import type { Type } from 'protobufjs';
import { UndecodableError, UnencodableError } from '../errors.ts';
import type { Serde } from '../serde.ts';

/** What `pbjs -t static-module` writes for a message. */
export interface ProtobufClass {
  encode(message: never): { finish(): Uint8Array };
  decode(data: Uint8Array): object;
}

/** The fields of a decoded message, without its methods: plain objects and instances are both fine. */
export type ProtobufValue<C extends ProtobufClass> = Fields<ReturnType<C['decode']>>;

type Fields<M> = M extends unknown
  ? { [P in keyof M as P extends `$${string}` ? never : M[P] extends (...args: never) => unknown ? never : P]: M[P] }
  : never;

interface Codec {
  readonly name?: string;
  readonly fullName?: string;
  encode(message: object): { finish(): Uint8Array };
  decode(data: Uint8Array): object;
  verify?(message: object): string | null;
  toObject?(message: object, options: { readonly defaults: boolean; readonly oneofs: boolean }): object;
  getTypeUrl?(prefix: string): string;
}

/**
 * Protobuf by protobufjs, 7 or 8. A static class types itself; a reflected `Type` has no TypeScript type, so name it:
 * `protobuf<Order>(root.lookupType('Order'))`.
 *
 * What is read is a plain object with every field, also those at their default, which are not on the wire: so a spread copies
 * them too. (A class written with `--no-convert` gives its instances, whose defaults are on the prototype.)
 */
export function protobuf<C extends ProtobufClass>(message: C): Serde<ProtobufValue<C>>;
export function protobuf<T extends object>(message: Type): Serde<T>;
export function protobuf(message: object): Serde<object> {
  const codec = message as Codec;
  const type = (codec.fullName ?? codec.getTypeUrl?.('') ?? codec.name ?? 'message').replace(/^[./]+/, '');
  const name = `protobuf(${type})`;
  return {
    name,
    serialize(value, context) {
      const problem = codec.verify?.(value);
      if (problem) throw new UnencodableError(name, problem, context);
      try {
        return codec.encode(value).finish();
      } catch (cause) {
        throw new UnencodableError(name, cause instanceof Error ? cause.message : String(cause), context, cause);
      }
    },
    deserialize(data, context) {
      try {
        // A copy (a Buffer's own slice is none): fields of bytes are views, and would keep the whole fetch in memory.
        const decoded = codec.decode(Uint8Array.prototype.slice.call(data));
        return codec.toObject === undefined ? decoded : withDefaults(codec.toObject(decoded, conversion), decoded);
      } catch (cause) {
        throw new UndecodableError(name, cause instanceof Error ? cause.message : String(cause), context, cause);
      }
    },
  };
}

const conversion = { defaults: true, oneofs: true } as const;

/** protobufjs 8 keeps fields that the schema does not know in `$unknowns`, if asked to: they go on with the value. */
function withDefaults(object: object, decoded: { readonly $unknowns?: unknown }): object {
  return decoded.$unknowns === undefined ? object : Object.assign(object, { $unknowns: decoded.$unknowns });
}
