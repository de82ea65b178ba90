import type { Serde, TopicSink } from '@millrace/serde';
import { InvalidPlanError, type NodeOptions } from '../errors.ts';
import type { NodeKind, NodeOf } from '../plan/plan.ts';
import type { ReadOnlyKeyValueStore, Stored, StoreOptions } from '../stores.ts';
import type { KeyValueView } from '../views.ts';
import { checkMsOrUndefined, orJson, type Draft } from './draft.ts';
import { GroupedTableHandle } from './grouped-handles.ts';
import type { KGroupedTable } from './grouping.ts';
import { placeOf, setPlace } from './handles.ts';
import type { KStream } from './kstream.ts';
import type { GlobalKTable, KTable, StoredKTable, TableGroupOptions, WindowedKTable } from './ktable.ts';
import { StreamHandle } from './stream-handle.ts';

type Added<Kind extends NodeKind> = Omit<NodeOf<Kind>, 'id' | 'kind' | 'name' | 'inputs' | 'stores' | 'onError'>;

/** A `KTable`, stored or not: a place in a draft. */
export class TableHandle implements KTable<any, any> {
  readonly kind = 'table';
  readonly key: Serde<any>;
  readonly #draft: Draft;
  readonly #node: number;

  constructor(draft: Draft, node: number, key: Serde<any>) {
    this.key = key;
    this.#draft = draft;
    this.#node = node;
    setPlace(this, { draft, node });
  }

  /** Adds a node with a key-value store of the same name. */
  static stored<Kind extends 'toTable' | 'materialize' | 'tableSource'>(
    draft: Draft,
    kind: Kind,
    input: number,
    key: Serde<any>,
    options: StoreOptions<any> & NodeOptions,
    changelogTopic?: string,
  ): StoredKTable<any, any> {
    const { name, emit = 'commit', ttlMs } = options;
    checkMsOrUndefined('ttlMs', ttlMs, 1);
    draft.addStore({
      name,
      kind: 'keyValue',
      key,
      value: orJson(options.value),
      changelog:
        changelogTopic === undefined ? { kind: 'changelog', name } : { kind: 'external', name: changelogTopic },
      emit,
      ttlMs,
      windowMs: 0,
      retentionMs: 0,
    });
    const node = draft.add(kind as 'toTable', [input], options, {}, [name]);
    return new StoredTableHandle(draft, node, key, name);
  }

  filter(predicate: (value: any, key: any) => boolean, options?: NodeOptions): KTable<any, any> {
    return this.#then('tableFilter', options, { predicate });
  }
  mapValues(mapper: (value: any, key: any) => any, options?: NodeOptions): KTable<any, any> {
    return this.#then('tableMapValues', options, { mapper });
  }
  join(
    other: KTable<any, any>,
    joiner: (left: any, right: any, key: any) => any,
    options?: NodeOptions,
  ): KTable<any, any> {
    return this.#join('inner', other, joiner, options);
  }
  leftJoin(
    other: KTable<any, any>,
    joiner: (left: any, right: any, key: any) => any,
    options?: NodeOptions,
  ): KTable<any, any> {
    return this.#join('left', other, joiner, options);
  }
  outerJoin(
    other: KTable<any, any>,
    joiner: (left: any, right: any, key: any) => any,
    options?: NodeOptions,
  ): KTable<any, any> {
    return this.#join('outer', other, joiner, options);
  }

  groupBy(
    mapper: (value: any, key: any) => { readonly key: any; readonly value: any } | null,
    options: TableGroupOptions<any, any>,
  ): KGroupedTable<any, any> {
    const { name, key } = options;
    this.#draft.claimRepartition(name);
    const node = this.#draft.add(
      'tableGroupBy',
      [this.#node],
      { name },
      {
        mapper,
        topic: { kind: 'repartition', name },
        key,
        value: orJson(options.value),
      },
    );
    return new GroupedTableHandle(this.#draft, node, key, orJson(options.value));
  }

  materialize(options: StoreOptions<any>): StoredKTable<any, any> {
    return TableHandle.stored(this.#draft, 'materialize', this.#node, this.key, options);
  }
  apply<R>(operator: (table: KTable<any, any>) => R): R {
    return operator(this);
  }

  toStream(options?: NodeOptions): KStream<any, any> {
    return this.#toStream(true, options);
  }
  updates(options?: NodeOptions): KStream<any, any> {
    return this.#toStream(false, options);
  }
  to(topic: TopicSink<any, any>, options?: NodeOptions): void {
    this.#draft.add('to', [this.#node], options, { topic, partitioner: undefined });
  }

  #toStream(keepsDeletions: boolean, options?: NodeOptions): KStream<any, any> {
    const node = this.#draft.add('toStream', [this.#node], options, { keepsDeletions });
    return new StreamHandle(this.#draft, node, this.key);
  }

  #then<Kind extends NodeKind>(kind: Kind, options: NodeOptions | undefined, fields: Added<Kind>): KTable<any, any> {
    return new TableHandle(this.#draft, this.#draft.add(kind, [this.#node], options, fields), this.key);
  }

  #join(
    join: 'inner' | 'left' | 'outer',
    other: KTable<any, any>,
    joiner: (left: any, right: any, key: any) => any,
    options?: NodeOptions,
  ): KTable<any, any> {
    const right = placeOf(other);
    if (right.draft !== this.#draft) {
      throw new InvalidPlanError(
        `A table of '${this.#draft.applicationId}' meets one of '${right.draft.applicationId}': both must come from one builder.`,
      );
    }
    const node = this.#draft.add('tableTableJoin', [this.#node, right.node], options, { joiner, join });
    return new TableHandle(this.#draft, node, this.key);
  }
}

/** A table with a store. */
export class StoredTableHandle
  extends TableHandle
  implements Stored<KeyValueView<any, any>, ReadOnlyKeyValueStore<any, any>>
{
  readonly storeName: string;
  constructor(draft: Draft, node: number, key: Serde<any>, storeName: string) {
    super(draft, node, key);
    this.storeName = storeName;
  }
}

/** A table of windows. */
export class WindowedTableHandle extends TableHandle implements WindowedKTable<any, any> {
  readonly storeName: string;
  constructor(draft: Draft, node: number, key: Serde<any>, storeName: string) {
    super(draft, node, key);
    this.storeName = storeName;
  }

  final(options?: NodeOptions): KStream<any, any> {
    const { draft, node } = placeOf(this);
    return new StreamHandle(draft, draft.add('final', [node], options, {}), this.key);
  }
}

/** A global table: no node, as it is no part of a task. */
export class GlobalTableHandle implements GlobalKTable<any, any> {
  readonly kind = 'globalTable';
  readonly key: Serde<any>;
  readonly storeName: string;
  constructor(draft: Draft, key: Serde<any>, storeName: string) {
    this.key = key;
    this.storeName = storeName;
    setPlace(this, { draft, node: -1 });
  }
}
