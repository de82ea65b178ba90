import { json, type Serde, type Topic } from '@millrace/serde';
import type { KStream, Literals, StreamsBuilder } from '@millrace/streams';
import type { Typed } from './decider.ts';
import { rekeyById, storeById, type StoreById } from './string-keyed.ts';
import { metadataOf, type MessageMetadata } from './message-metadata.ts';

type OfType<E, T> = Extract<E, { readonly type: T }>;

/** By event type; others are passed over. null deletes the row. */
export type Handlers<E extends Typed, Row> = {
  readonly [T in E['type']]?: (row: Row, event: OfType<E, T>, metadata: MessageMetadata) => Row | Literals | null;
};

export interface ProjectionSpec<E extends Typed, Row> {
  /** Names the store, with the version: `<name>-v<version>`. */
  readonly name: string;
  /**
   * Raise it when `on` changes: rows begin anew. An app that has read its events does not read them again, so a new version is
   * built by an app of another id; readers change to it when it has caught up.
   */
  readonly version: number;
  readonly from: Topic<string, E> | KStream<string, E>;
  /** Which row an event belongs to; null: none. Default: the aggregate's. */
  readonly id?: ((event: E, aggregateId: string) => string | null) | undefined;
  readonly initial: () => Row;
  /** Of rows. Default: JSON. */
  readonly value?: Serde<Row> | undefined;
  /** Of events on the way to the owner of their row, where there is an `id`. Default: JSON. */
  readonly event?: Serde<E> | undefined;
  readonly on: Handlers<E, NoInfer<Row>>;
}

/** Rows of a projection: `app.view`, the test driver and `openView` read them. */
export type ProjectedRows<Row> = StoreById<Row>;

/** Adds a read model to a plan: each event changes a row. */
export function projection<E extends Typed, Row>(
  builder: StreamsBuilder,
  spec: ProjectionSpec<E, Row>,
): ProjectedRows<Row> {
  const { from, id, initial, on } = spec;
  const name = `${spec.name}-v${spec.version}`;
  const rows = storeById(builder, name, spec.value ?? json<Row>());
  const events = 'kind' in from ? from : builder.stream(from);
  const byRow =
    id === undefined
      ? events
      : events.flatMap<string, E>(
          (event, aggregateId) => {
            const key = id(event, aggregateId);
            return key === null ? [] : [{ key, value: event }];
          },
          rekeyById(`${name}-by-id`, spec.event ?? json<E>()),
        );
  byRow.process<never, { readonly rows: typeof rows }>({
    name: `${name}-project`,
    stores: { rows },
    onRecord(event, key, context) {
      const handler = handlerOf(on, event);
      if (handler === undefined) return;
      const row = handler(context.stores.rows.get(key) ?? initial(), event, metadataOf(context));
      if (row === null) context.stores.rows.delete(key);
      else context.stores.rows.put(key, row as Row); // literals are rows, by type
    },
  });
  return rows;
}

type Handler<E, Row> = (row: Row, event: E, metadata: MessageMetadata) => Row | Literals | null;

/** The handler of an event's own type: which the type system knows, but not how to look it up. */
function handlerOf<E extends Typed, Row>(on: Handlers<E, Row>, event: E): Handler<E, Row> | undefined {
  const handlers = on as { readonly [type: string]: unknown };
  return Object.hasOwn(on, event.type) ? (handlers[event.type] as Handler<E, Row>) : undefined;
}
