import type { Serde, Topic } from '@millrace/serde';
import type { Literals } from '@millrace/streams';
import type { Decider, Typed } from './decider.ts';

export interface ProcessManagerSpec<E extends Typed, S> {
  /** Names the store `<name>-processes`, the topic `<name>-rejections`, and internal topics. */
  readonly name: string;
  readonly from: Topic<string, E> | readonly Topic<string, E>[];
  /** The process that an event belongs to; undefined: none. */
  readonly correlate: (event: E, aggregateId: string) => string | undefined;
  readonly state: Serde<S>;
  readonly initialState: () => NoInfer<S> | Literals;
  /** Pure. The commands it sends have ids made from their cause, so a replay sends none twice. */
  readonly react: (state: S, input: ProcessInput<E>, process: ProcessTools) => Reaction<NoInfer<S>>;
}

/** What a process reacts to. */
export type ProcessInput<E extends Typed> =
  | { readonly kind: 'event'; readonly event: E; readonly from: string }
  /** A command this process sent was rejected. It comes as JSON has it. */
  | { readonly kind: 'rejected'; readonly code: string; readonly command: Typed; readonly to: string }
  /** Setting off and being cancelled are in one transaction: never both. */
  | { readonly kind: 'timeout'; readonly name: string };

/** Makes actions. They happen when `react` returns them. */
export interface ProcessTools {
  /** Of the process. */
  readonly id: string;
  readonly send: <C extends Typed, E extends Typed, S, R extends string>(
    decider: Decider<C, E, S, R>,
    id: string,
    command: NoInfer<C>,
  ) => Action;
  /** Sets off `afterMs` after the time of what is reacted to, by the wall clock. Set again, it moves. */
  readonly setTimeout: (name: string, afterMs: number) => Action;
  readonly clearTimeout: (name: string) => Action;
}

export interface Action {
  readonly action: 'send' | 'setTimeout' | 'clearTimeout';
}

export interface Reaction<S> {
  /** null: the process is over, and forgotten with its timeouts. */
  readonly state: S | Literals | null;
  readonly actions?: readonly Action[] | undefined;
}

export interface ProcessManager<E extends Typed, S> extends ProcessManagerSpec<E, S> {
  readonly kind: 'processManager';
}

/**
 * A process over several aggregates (a saga): it hears events, remembers where it stands, and sends commands.
 *
 * Compensations must always be accepted, even before what they undo: a command may be on its way when its process gives up.
 */
export function processManager<E extends Typed, S>(spec: ProcessManagerSpec<E, S>): ProcessManager<E, S> {
  return Object.freeze({ kind: 'processManager', ...spec });
}

/** The actions that `ProcessTools` makes. */
export type ProcessAction = SendAction | SetTimeoutAction | ClearTimeoutAction;

export interface SendAction extends Action {
  readonly action: 'send';
  /** What commands are encoded with; whose they are is known by `decider`. */
  readonly topic: Topic<string, any>;
  readonly decider: string;
  readonly id: string;
  readonly command: Typed;
}
interface SetTimeoutAction extends Action {
  readonly action: 'setTimeout';
  readonly name: string;
  readonly afterMs: number;
}
interface ClearTimeoutAction extends Action {
  readonly action: 'clearTimeout';
  readonly name: string;
}

export function toolsOf(id: string): ProcessTools {
  return {
    id,
    send: (decider, aggregateId, command): SendAction => ({
      action: 'send',
      topic: decider.commands,
      decider: decider.name,
      id: aggregateId,
      command,
    }),
    setTimeout: (name, afterMs): SetTimeoutAction => ({ action: 'setTimeout', name, afterMs }),
    clearTimeout: (name): ClearTimeoutAction => ({ action: 'clearTimeout', name }),
  };
}
