/** A decider: what an account may do (`decide`), and what it then is (`evolve`). Pure, so a test needs nothing. */
import { decider, reject, versionedJson, type Decider } from '@millrace/eventsourcing';
import { json } from '@millrace/serde';
import { z } from 'zod';

const transferId = z.string().optional();
const CommandSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('open'), owner: z.string() }),
  z.object({ type: z.literal('deposit'), cents: z.number().int().positive(), transferId }),
  z.object({ type: z.literal('withdraw'), cents: z.number().int().positive(), transferId, to: z.string().optional() }),
]);
const EventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('opened'), owner: z.string(), currency: z.string() }),
  z.object({ type: z.literal('deposited'), cents: z.number(), transferId }),
  z.object({ type: z.literal('withdrawn'), cents: z.number(), transferId, to: z.string().optional() }),
]);
export type Command = z.infer<typeof CommandSchema>;
export type Event = z.infer<typeof EventSchema>;
export type Account = { status: 'none' } | { status: 'open'; owner: string; cents: number };
export type Refusal = 'already-open' | 'no-such-account' | 'insufficient-funds';

export const account: Decider<Command, Event, Account, Refusal> = decider({
  name: 'account',
  command: json(CommandSchema),
  // Accounts opened before there were currencies are brought up to date as they are read.
  event: versionedJson(EventSchema, {
    opened: [(old: { owner: string }) => ({ type: 'opened', owner: old.owner, currency: 'EUR' })],
  }),
  state: json<Account>(),
  stateVersion: 1,

  initialState: () => ({ status: 'none' }),

  decide(state, command) {
    if (command.type === 'open') {
      return state.status === 'none'
        ? [{ type: 'opened', owner: command.owner, currency: 'EUR' }]
        : reject('already-open');
    }
    if (state.status === 'none') return reject('no-such-account');
    if (command.type === 'deposit') return [{ ...command, type: 'deposited' }];
    return state.cents >= command.cents
      ? [{ ...command, type: 'withdrawn' }]
      : reject('insufficient-funds', `${state.cents} left`);
  },

  evolve(state, event) {
    if (event.type === 'opened') return { status: 'open', owner: event.owner, cents: 0 };
    if (state.status === 'none') return state;
    return { ...state, cents: state.cents + (event.type === 'deposited' ? event.cents : -event.cents) };
  },
});
