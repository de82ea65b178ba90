import { string, type Serde } from '@millrace/serde';
import type { KeyValueStore, KeyValueView, ProcessorStore, RekeyOptions, StreamsBuilder } from '@millrace/streams';

// Options ask for a serde only where JSON loses something. Whether it does the compiler can tell of a type or a bare parameter,
// not of a type built of parameters: so here they are bare.

/** A store by id: `app.view`, the test driver and `openView` read it. */
export type StoreById<V> = ProcessorStore<string, KeyValueView<string, V>, KeyValueStore<string, V>>;

export function storeById<V>(builder: StreamsBuilder, name: string, value: Serde<V>): StoreById<V> {
  return builder.keyValueStore<string, V>({ name, key: string, value });
}

export function rekeyById<V>(name: string, value: Serde<V>): RekeyOptions<string, V> {
  return { name, key: string, value };
}
