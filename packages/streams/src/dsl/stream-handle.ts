import type { HeadersInit, Serde, TopicSink } from '@millrace/serde';
import type { OperatorFunction } from 'rxjs';
import { InvalidPlanError, type NodeOptions } from '../errors.ts';
import type { NodeKind, NodeOf, UserFunction } from '../plan/plan.ts';
import type { Sink } from '../sink.ts';
import type { StoreOptions } from '../stores.ts';
import { orJson, type Draft } from './draft.ts';
import type { KGroupedStream } from './grouping.ts';
import { GroupedStreamHandle } from './grouped-handles.ts';
import { placeOf, setPlace } from './handles.ts';
import type {
  Branched,
  Branches,
  KStream,
  MapAsyncOptions,
  OnOptions,
  RekeyOptions,
  RepartitionOptions,
  StreamJoinOptions,
  ToOptions,
} from './kstream.ts';
import type { GlobalKTable, KTable, StoredKTable } from './ktable.ts';
import type { Processor } from './processor.ts';
import { addProcessor } from './process-node.ts';
import { addStreamJoin } from './stream-join.ts';
import { TableHandle } from './table-handle.ts';

type Added<Kind extends NodeKind> = Omit<NodeOf<Kind>, 'id' | 'kind' | 'name' | 'inputs' | 'stores' | 'onError'>;

/** A `KStream`: a place in a draft. Its types are the interface's; here everything is any. */
export class StreamHandle implements KStream<any, any> {
  readonly kind = 'stream';
  readonly key: Serde<any>;
  readonly #draft: Draft;
  readonly #node: number;

  constructor(draft: Draft, node: number, key: Serde<any>) {
    this.key = key;
    this.#draft = draft;
    this.#node = node;
    setPlace(this, { draft, node });
  }

  filter(predicate: UserFunction<boolean>, options?: NodeOptions): KStream<any, any> {
    return this.#then('filter', options, { predicate });
  }
  mapValues(mapper: UserFunction<any>, options?: NodeOptions): KStream<any, any> {
    return this.#then('mapValues', options, { mapper });
  }
  flatMapValues(mapper: UserFunction<Iterable<any>>, options?: NodeOptions): KStream<any, any> {
    return this.#then('flatMapValues', options, { mapper });
  }
  peek(action: UserFunction<void>, options?: NodeOptions): KStream<any, any> {
    return this.#then('peek', options, { action });
  }
  withTimestamp(timestampMs: UserFunction<number>, options?: NodeOptions): KStream<any, any> {
    return this.#then('withTimestamp', options, { timestampMs });
  }
  withHeaders(headers: UserFunction<HeadersInit>, options?: NodeOptions): KStream<any, any> {
    return this.#then('withHeaders', options, { headers });
  }

  pipe(...parts: readonly (OperatorFunction<any, any> | NodeOptions | undefined)[]): KStream<any, any> {
    const operators = parts.filter((part): part is OperatorFunction<any, any> => typeof part === 'function');
    const options = parts.find((part): part is NodeOptions => typeof part === 'object');
    return this.#then('pipe', options, { operators });
  }

  mapAsync(call: UserFunction<PromiseLike<any>>, options: MapAsyncOptions): KStream<any, any> {
    const { concurrency, timeoutMs, order = 'key' } = options;
    if (!Number.isSafeInteger(concurrency) || concurrency < 1 || !(timeoutMs > 0)) {
      throw new InvalidPlanError(
        `mapAsync with a concurrency of ${concurrency} and a timeoutMs of ${timeoutMs} cannot run: both are at least 1.`,
        { concurrency, timeoutMs },
      );
    }
    return this.#then('mapAsync', options, { call, key: this.key, concurrency, timeoutMs, order });
  }

  apply<R>(operator: (stream: KStream<any, any>) => R): R {
    return operator(this);
  }

  selectKey(mapper: UserFunction<any>, options: RekeyOptions<any, any>): KStream<any, any> {
    return this.#rekey('selectKey', { mapper }, options);
  }
  map(mapper: UserFunction<any>, options: RekeyOptions<any, any>): KStream<any, any> {
    return this.#rekey('map', { mapper }, options);
  }
  flatMap(mapper: UserFunction<Iterable<any>>, options: RekeyOptions<any, any>): KStream<any, any> {
    return this.#rekey('flatMap', { mapper }, options);
  }

  repartition(options: RepartitionOptions<any>): KStream<any, any> {
    const { name, numPartitions, partitioner } = options;
    if (numPartitions !== undefined && !(Number.isSafeInteger(numPartitions) && numPartitions > 0)) {
      throw new InvalidPlanError(`The repartition topic '${name}' cannot have ${numPartitions} partitions.`, { name });
    }
    this.#draft.claimRepartition(name);
    const topic = { kind: 'repartition', name } as const;
    const serdes = { key: this.key, value: orJson(options.value) };
    const node = this.#draft.add(
      'repartition',
      [this.#node],
      { name },
      {
        topic,
        ...serdes,
        partitioner,
        numPartitions,
      },
    );
    const source = this.#draft.add('source', [node], undefined, {
      topic,
      ...serdes,
      autoOffsetReset: 'earliest',
      timestampMs: undefined,
      onInvalid: 'fail',
      acceptsNullValues: true,
    });
    return new StreamHandle(this.#draft, source, this.key);
  }

  branch<B extends Branches<any, any>>(branches: B, options?: NodeOptions): Branched<any, any, B> {
    const names = Object.keys(branches);
    if (names.includes('rest')) {
      throw new InvalidPlanError("A branch cannot be named 'rest': that is what no other branch took.");
    }
    const numeric = names.find((name) => /^\d+$/.test(name));
    if (numeric !== undefined) {
      throw new InvalidPlanError(
        `A branch cannot be named '${numeric}': JavaScript puts names that are numbers first, and the first branch that takes a record has it.`,
        { branch: numeric },
      );
    }
    const branch = this.#draft.add('branch', [this.#node], options, { guards: Object.values(branches) });
    const arms = [...names, 'rest'].map((name, index) => {
      const named = options?.name === undefined ? undefined : { name: `${options.name}-${name}` };
      const arm = this.#draft.add('branchArm', [branch], named, { index });
      return [name, new StreamHandle(this.#draft, arm, this.key)] as const;
    });
    return Object.fromEntries(arms) as unknown as Branched<any, any, B>; // an object made of B's names
  }

  merge(other: KStream<any, any>, options?: NodeOptions): KStream<any, any> {
    const node = this.#draft.add('merge', [this.#node, this.#placeIn(other)], options, {});
    return new StreamHandle(this.#draft, node, this.key);
  }

  groupByKey(): KGroupedStream<any, any> {
    return new GroupedStreamHandle(this.#draft, this.#node, this.key);
  }
  groupBy(mapper: UserFunction<any>, options: RekeyOptions<any, any>): KGroupedStream<any, any> {
    return this.selectKey(mapper, options).groupByKey();
  }

  toTable(options: StoreOptions<any>): StoredKTable<any, any> {
    this.#draft.needsCopartition(this.#node);
    return TableHandle.stored(this.#draft, 'toTable', this.#node, this.key, options);
  }

  process(processor: Processor<any, any, any, any>): KStream<any, any> {
    this.#draft.needsCopartition(this.#node);
    return new StreamHandle(this.#draft, addProcessor(this.#draft, this.#node, this.key, processor), this.key);
  }

  join(other: object, joiner: UserFunction<any>, options?: object): KStream<any, any> {
    return this.#join('inner', other, joiner, options);
  }
  leftJoin(other: object, joiner: UserFunction<any>, options?: object): KStream<any, any> {
    return this.#join('left', other, joiner, options);
  }
  outerJoin(other: object, joiner: UserFunction<any>, options: object): KStream<any, any> {
    return this.#join('outer', other, joiner, options);
  }

  to(topic: TopicSink<any, any> | UserFunction<TopicSink<any, any>>, options?: ToOptions<any>): void {
    this.#draft.add('to', [this.#node], options, { topic, partitioner: options?.partitioner });
  }

  sink(sink: Sink<any, any>, options?: NodeOptions): void {
    this.#draft.add('sink', [this.#node], { ...options, name: options?.name ?? sink.name }, { sink });
  }

  #then<Kind extends NodeKind>(kind: Kind, options: NodeOptions | undefined, fields: Added<Kind>): KStream<any, any> {
    return new StreamHandle(this.#draft, this.#draft.add(kind, [this.#node], options, fields), this.key);
  }

  #rekey<Kind extends 'selectKey' | 'map' | 'flatMap'>(
    kind: Kind,
    fields: Added<Kind>,
    options: RekeyOptions<any, any>,
  ): KStream<any, any> {
    const { name, key } = options;
    this.#draft.claimRepartition(name);
    const node = this.#draft.add(kind, [this.#node], options, fields);
    this.#draft.rekeys.set(node, { name, key, value: orJson(options.value) });
    return new StreamHandle(this.#draft, node, key);
  }

  #join(
    join: 'inner' | 'left' | 'outer',
    other: object,
    joiner: UserFunction<any>,
    options?: object,
  ): KStream<any, any> {
    const { kind } = other as KStream<any, any> | KTable<any, any> | GlobalKTable<any, any>;
    if (kind === 'globalTable' && join !== 'outer') {
      const { storeName } = other as GlobalKTable<any, any>;
      const { on } = options as OnOptions<any, any, any>;
      const fields = { joiner, join, on, globalTable: storeName };
      this.#placeIn(other);
      return this.#then('streamGlobalTableJoin', options as NodeOptions, fields);
    }
    this.#draft.needsCopartition(this.#node);
    if (kind === 'table' && join !== 'outer') {
      const inputs = [this.#node, this.#placeIn(other)];
      const node = this.#draft.add('streamTableJoin', inputs, options as NodeOptions, { joiner, join });
      return new StreamHandle(this.#draft, node, this.key);
    }
    this.#draft.needsCopartition(this.#placeIn(other));
    const sides = { left: this.#node, right: this.#placeIn(other), key: this.key };
    const node = addStreamJoin(this.#draft, join, sides, joiner, options as StreamJoinOptions<any, any, any>);
    return new StreamHandle(this.#draft, node, this.key);
  }

  #placeIn(other: object): number {
    const { draft, node } = placeOf(other);
    if (draft === this.#draft) return node;
    throw new InvalidPlanError(
      `A stream of '${this.#draft.applicationId}' meets one of '${draft.applicationId}': both must come from one builder.`,
    );
  }
}
