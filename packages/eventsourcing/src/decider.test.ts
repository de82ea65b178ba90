import { AssertionError } from 'node:assert/strict';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { account, type Account, type Command, type Event } from '../examples/bank/account.ts';
import { decideOn, decider, fold, reject, type Aggregate } from './decider.ts';
import { given } from './testing/index.ts';

const opened = { type: 'opened', owner: 'Ada', currency: 'EUR' } as const;
const context = { id: 'a', commandId: 'c', timestampMs: 7 };

it('has topics of its name, and keeps its events for ever', () => {
  expect(account.commands).toMatchObject({ name: 'account-commands' });
  expect(account.events).toMatchObject({
    name: 'account-events',
    config: { 'cleanup.policy': 'delete', 'retention.ms': -1 },
  });
});

describe('given, when, then', () => {
  const open = given(account, [opened, { type: 'deposited', cents: 500 }]);

  it('folds what was given', () => {
    expect(open.state).toEqual({ status: 'open', owner: 'Ada', cents: 500 });
    expect(given(account, []).state).toEqual({ status: 'none' });
  });

  it('holds where the outcome is the expected one', () => {
    const withdraw = (cents: number) => open.when({ type: 'withdraw', cents });
    expect(() => withdraw(200).then([{ type: 'withdrawn', cents: 200 }])).not.toThrow();
    expect(() => withdraw(501).thenRejected('insufficient-funds')).not.toThrow();
  });

  it('fails where it is not, and shows both sides', () => {
    const withdraw = open.when({ type: 'withdraw', cents: 500 });
    expect(() => withdraw.then([{ type: 'withdrawn', cents: 499 }])).toThrow(AssertionError);
    expect(() => withdraw.then([])).toThrow(/withdrawn/);
    expect(() => withdraw.thenRejected('insufficient-funds')).toThrow(/insufficient-funds/);
    const tooMuch = open.when({ type: 'withdraw', cents: 501 });
    expect(() => tooMuch.then([])).toThrow(AssertionError);
    expect(() => tooMuch.thenRejected('no-such-account')).toThrow(AssertionError);
  });
});

describe('a decision', () => {
  const current: Aggregate<Account> = { state: { status: 'open', owner: 'Ada', cents: 5 }, version: 2 };
  const deposit: Command = { type: 'deposit', cents: 1 };

  it.each([
    [undefined, undefined, 'accepted'],
    [undefined, 2, 'accepted'],
    [undefined, 1, 'conflict'],
    [undefined, 3, 'conflict'],
    [undefined, 'exists', 'accepted'],
    ['new', 0, 'accepted'],
    ['new', 1, 'conflict'],
    ['new', 'exists', 'conflict'],
  ] as const)('on an aggregate of 2 events (%s) at expected version %s is: %s', (isNew, expectedVersion, status) => {
    const command: Command = isNew === 'new' ? { type: 'open', owner: 'Ada' } : deposit;
    const decision = decideOn(account, isNew === 'new' ? undefined : current, command, context, expectedVersion);
    expect(decision.status).toBe(status);
  });

  it('changes nothing where it is a rejection or a conflict', () => {
    const rejected = decideOn(account, current, { type: 'open', owner: 'Bob' } as Command, context);
    expect(rejected).toEqual({ status: 'rejected', rejection: { rejected: 'already-open' }, aggregate: current });
    const conflict = decideOn(account, current, deposit, context, 9);
    expect(conflict).toEqual({ status: 'conflict', aggregate: current });
  });

  it('is told of id, command, time and version', () => {
    const seen: unknown[] = [];
    const spy = decider<Command, Event, Account, 'no'>({
      ...account,
      decide: (_, __, decideContext) => {
        seen.push(decideContext);
        return reject('no');
      },
    });
    decideOn(spy, current, deposit, context);
    expect(seen).toEqual([{ id: 'a', commandId: 'c', timestampMs: 7, version: 2 }]);
  });

  it('counts every event: the version of any history is its length', () => {
    const event = fc.oneof(
      fc.constant(opened),
      fc.record({ type: fc.constant('deposited' as const), cents: fc.nat() }),
      fc.record({ type: fc.constant('withdrawn' as const), cents: fc.nat() }),
    );
    fc.assert(
      fc.property(fc.array(event), fc.nat(20), (events, at) => {
        const empty: Aggregate<Account> = { state: { status: 'none' }, version: 0 };
        const evolve: (state: Account, event: Event) => Account = account.evolve as never; // without its literals
        const whole = fold(evolve, empty, events);
        const inParts = fold(account.evolve as never, fold(evolve, empty, events.slice(0, at)), events.slice(at));
        expect(whole.version).toBe(events.length);
        expect(inParts).toEqual(whole);
      }),
    );
  });
});
