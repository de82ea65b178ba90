import assert from 'node:assert/strict';
import { decideOn, fold, type Decider, type Typed } from '../decider.ts';
import { toolsOf, type Action, type ProcessInput, type ProcessManager, type ProcessTools } from '../process-manager.ts';

/** What happened before. */
export interface Given<C extends Typed, E extends Typed, S, R extends string> {
  readonly state: S;
  when(command: C): Decided<E, R>;
}
export interface Decided<E extends Typed, R extends string> {
  /** @throws {AssertionError} it was rejected, or these are not the events */
  then(events: readonly E[]): void;
  /** @throws {AssertionError} it was accepted, or rejected with another code */
  thenRejected(code: R): void;
}

/**
 * A decider's rules without anything around them.
 * @example given(account, [opened, deposited(500)]).when(withdraw(900)).thenRejected('insufficient-funds');
 */
export function given<C extends Typed, E extends Typed, S, R extends string>(
  decider: Decider<C, E, S, R>,
  events: readonly NoInfer<E>[],
): Given<C, E, S, R> {
  const aggregate = fold(decider.evolve, { state: decider.initialState() as S, version: 0 }, events);
  return {
    state: aggregate.state,
    when(command) {
      const context = { id: 'id', commandId: 'command-id', timestampMs: 0 };
      const decision = decideOn(decider, aggregate, command, context);
      const outcome =
        decision.status === 'accepted'
          ? { events: [...decision.events] }
          : { rejected: decision.status === 'rejected' ? decision.rejection.rejected : decision.status };
      return {
        // eslint-disable-next-line unicorn/no-thenable -- given, when, then
        then: (expected) => assert.deepStrictEqual(outcome, { events: [...expected] }),
        thenRejected: (code) => assert.deepStrictEqual(outcome, { rejected: code }),
      };
    },
  };
}

/** What a process has heard before. */
export interface GivenProcess<E extends Typed, S> {
  /** null: it is over. */
  readonly state: S | null;
  when(input: ProcessInput<E>): Reacted;
}
export interface Reacted {
  /** @throws {AssertionError} these are not the actions, in this order */
  then(actions: (process: ProcessTools) => readonly Action[]): void;
}

/**
 * A process without anything around it. One that is over begins anew with its next input, as it is forgotten.
 * @example givenProcess(transfer, []).when({ kind: 'event', event: withdrawn, from: 'a' }).then(({ send }) => [send(account, 'b', deposit)]);
 */
export function givenProcess<E extends Typed, S>(
  process: ProcessManager<E, S>,
  inputs: readonly ProcessInput<NoInfer<E>>[],
): GivenProcess<E, S> {
  const tools = toolsOf('process-id');
  let state: S | null = null;
  for (const input of inputs)
    state = process.react(state ?? (process.initialState() as S), input, tools).state as S | null;
  return {
    state: inputs.length === 0 ? (process.initialState() as S) : state,
    when(input) {
      const { actions = [] } = process.react(state ?? (process.initialState() as S), input, tools);
      return {
        // eslint-disable-next-line unicorn/no-thenable -- given, when, then
        then: (expected) => assert.deepStrictEqual([...actions], [...expected(tools)]),
      };
    },
  };
}
