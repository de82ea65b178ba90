import { InvalidValueError, json, UndecodableError, type Serde, type SerdeContext } from '@millrace/serde';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { Typed } from './decider.ts';

type OfType<E, T> = Extract<E, { readonly type: T }>;
type Upcast = (older: never) => object;

/** By event type, the steps from version 0 on; the last one makes today's shape. */
export type Upcasts<E extends Typed> = {
  readonly [T in E['type']]?: readonly [...Upcast[], (older: never) => OfType<E, T>];
};

/** Where an event keeps its version; none: version 0. */
const versionField = '$version';

/**
 * JSON events with their version in the field `$version`: as many as there are steps for their type. Old ones are brought up to
 * date step by step whenever they are read, wherever they are read, then validated. A type without steps is written as plain JSON.
 * @example versionedJson(Event, { opened: [(old: { owner: string }) => ({ type: 'opened', owner: old.owner, currency: 'EUR' })] })
 */
export function versionedJson<S extends StandardSchemaV1<unknown, Typed>>(
  schema: S,
  upcasts: Upcasts<StandardSchemaV1.InferOutput<S>>,
): Serde<StandardSchemaV1.InferOutput<S>> {
  const plain = json<object>();
  const validator = json(schema);
  const stepsOf = (type: unknown): readonly Upcast[] =>
    (typeof type === 'string' && Object.hasOwn(upcasts, type)
      ? (upcasts as Readonly<Record<string, readonly Upcast[]>>)[type]
      : undefined) ?? [];
  return {
    name: 'versionedJson',
    serialize(event, context) {
      const version = stepsOf(event.type).length;
      return plain.serialize(version === 0 ? { ...event } : { ...event, [versionField]: version }, context);
    },
    deserialize(data, context) {
      const read = plain.deserialize(data, context);
      if (typeof read !== 'object' || read === null) throw new UndecodableError('versionedJson', 'no object', context);
      const { [versionField]: version = 0, ...event } = read as Readonly<Record<string, unknown>>;
      const steps = stepsOf(event['type']);
      if (typeof version !== 'number' || !Number.isInteger(version) || version < 0 || version > steps.length) {
        const reason = `an event of type ${String(event['type'])} has version ${String(version)}, and here ${steps.length} is the newest`;
        throw new UndecodableError('versionedJson', reason, context);
      }
      let upcasted: object = event;
      for (const step of steps.slice(version)) upcasted = step(upcasted as never);
      return validated(schema, upcasted, validator, context);
    },
  };
}

function validated<S extends StandardSchemaV1>(
  schema: S,
  value: unknown,
  validator: Serde<StandardSchemaV1.InferOutput<S>>,
  context: SerdeContext,
): StandardSchemaV1.InferOutput<S> {
  const result = schema['~standard'].validate(value);
  // An asynchronous schema is refused, and in the same words, by the serde that knows it.
  if (result instanceof Promise) return validator.deserialize(Buffer.from(JSON.stringify(value)), context);
  if (result.issues === undefined) return result.value as StandardSchemaV1.InferOutput<S>;
  throw new InvalidValueError(
    result.issues.map(({ path = [], message }) => ({
      path: path.map((segment) => String(typeof segment === 'object' ? segment.key : segment)).join('.'),
      message,
    })),
    context,
  );
}
