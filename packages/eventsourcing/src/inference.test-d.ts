import type { CommandBus, Reply } from './command-bus.ts';
import { expectTypeOf, it } from 'vitest';
import { account, type Event, type Refusal } from '../examples/bank/account.ts';
import { given } from './testing/index.ts';

declare const bus: CommandBus;

it('carries commands, events and refusals from the decider to its callers', () => {
  expectTypeOf(bus.send(account, 'a', { type: 'open', owner: 'Ada' })).resolves.toEqualTypeOf<Reply<Event, Refusal>>();
  // @ts-expect-error no such command
  void bus.send(account, 'a', { type: 'close' });
  // @ts-expect-error the command lacks its owner
  void bus.send(account, 'a', { type: 'open' });
  // @ts-expect-error no such refusal
  given(account, []).when({ type: 'open', owner: 'Ada' }).thenRejected('too-poor');
  // @ts-expect-error no such event
  given(account, [{ type: 'closed' }]);
});
