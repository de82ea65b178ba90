import { string, topic, type Serde, type Topic } from '@millrace/serde';
import type { Literals } from '@millrace/streams';

/** Commands and events are told apart by `type`. */
export interface Typed {
  readonly type: string;
}

export interface DeciderSpec<C extends Typed, E extends Typed, S, R extends string> {
  /** Names the topics `<name>-commands` and `<name>-events`, and the store `<name>-state-<stateVersion>`. */
  readonly name: string;
  readonly command: Serde<C>;
  readonly event: Serde<E>;
  readonly state: Serde<S>;
  /**
   * Part of the store's name. Raise it when `evolve` or the state's shape changes: the app then refuses to go on over states that no
   * longer fit (`INCOMPATIBLE_PLAN`).
   */
  readonly stateVersion: number;
  readonly initialState: () => NoInfer<S> | Literals;
  /** What happens, or why it does not. Pure: id, time and version are in `context`. A throw is a bug, and stops the app. */
  readonly decide: (
    state: S,
    command: C,
    context: DecideContext,
  ) => readonly NoInfer<E>[] | readonly Literals[] | Rejection<R>;
  /** Total: every event has happened, and is taken in. */
  readonly evolve: (state: S, event: E) => NoInfer<S> | Literals;
  /** Of the topics of commands and events, where they are made from this contract. Default: the cluster's. */
  readonly numPartitions?: number | undefined;
}

export interface DecideContext {
  /** Of the aggregate. */
  readonly id: string;
  readonly commandId: string;
  /** Of the command. */
  readonly timestampMs: number;
  /** The number of events so far. */
  readonly version: number;
}

export interface Decider<C extends Typed, E extends Typed, S, R extends string> extends DeciderSpec<C, E, S, R> {
  readonly commands: Topic<string, C>;
  /** Kept for ever and never compacted: the events are the truth, states and projections come from them. */
  readonly events: Topic<string, E>;
}

/**
 * Rules and state of one kind of aggregate.
 * @example
 * const account = decider({
 *   name: 'account', command: json(Command), event: json(Event), state: json<Account>(), stateVersion: 1,
 *   initialState: () => ({ cents: 0 }),
 *   decide: (state, command) => state.cents >= command.cents ? [{ ...command, type: 'withdrawn' }] : reject('insufficient-funds'),
 *   evolve: (state, event) => ({ cents: state.cents - event.cents }),
 * });
 */
export function decider<C extends Typed, E extends Typed, S, R extends string = never>(
  spec: DeciderSpec<C, E, S, R>,
): Decider<C, E, S, R> {
  const { name, command, event, numPartitions } = spec;
  const config = { 'cleanup.policy': 'delete', 'retention.ms': -1 } as const;
  return Object.freeze({
    ...spec,
    commands: topic(`${name}-commands`, { key: string, value: command, numPartitions }),
    events: topic(`${name}-events`, { key: string, value: event, numPartitions, config }),
  });
}

/** A rule of the business said no: part of the reply, not an error. */
export interface Rejection<out R extends string> {
  readonly rejected: R;
  readonly message?: string | undefined;
}

/** What `decide` returns instead of events. Codes are typed up to the reply. */
export function reject<const R extends string>(code: R, message?: string): Rejection<R> {
  return message === undefined ? { rejected: code } : { rejected: code, message };
}

/** An aggregate as the store holds it. */
export interface Aggregate<S> {
  readonly state: S;
  /** The number of events that made it. */
  readonly version: number;
}

/** What a command came to. */
export type Decision<E extends Typed, S, R extends string> =
  | { readonly status: 'accepted'; readonly events: readonly E[]; readonly aggregate: Aggregate<S> }
  | { readonly status: 'rejected'; readonly rejection: Rejection<R>; readonly aggregate: Aggregate<S> }
  | { readonly status: 'conflict'; readonly aggregate: Aggregate<S> };

/**
 * Decides and evolves: all that a command does to an aggregate.
 * @param current undefined: it has had no event
 */
export function decideOn<C extends Typed, E extends Typed, S, R extends string>(
  { initialState, decide, evolve }: Pick<DeciderSpec<C, E, S, R>, 'initialState' | 'decide' | 'evolve'>,
  current: Aggregate<S> | undefined,
  command: C,
  context: Omit<DecideContext, 'version'>,
  expectedVersion?: number | 'exists',
): Decision<E, S, R> {
  const aggregate = current ?? { state: initialState() as S, version: 0 };
  const { version } = aggregate;
  const isExpected =
    expectedVersion === undefined || (expectedVersion === 'exists' ? version > 0 : version === expectedVersion);
  if (!isExpected) return { status: 'conflict', aggregate };
  const decision = decide(aggregate.state, command, { ...context, version });
  if ('rejected' in decision) return { status: 'rejected', rejection: decision, aggregate };
  const events = decision as readonly E[];
  return { status: 'accepted', events, aggregate: fold(evolve, aggregate, events) };
}

/** The aggregate after these events. */
export function fold<E extends Typed, S>(
  evolve: (state: S, event: E) => S | Literals,
  aggregate: Aggregate<S>,
  events: readonly E[],
): Aggregate<S> {
  let { state } = aggregate;
  for (const event of events) state = evolve(state, event) as S;
  return { state, version: aggregate.version + events.length };
}
