/** The bank as a plan: the decider, a read model, and transfers as a process between two accounts. */
import {
  handleCommands,
  processManager,
  projection,
  runProcess,
  type ProcessManager,
  type ProjectedRows,
} from '@millrace/eventsourcing';
import { json } from '@millrace/serde';
import { StreamsBuilder, type Topology } from '@millrace/streams';
import { account, type Event } from './account.ts';

export type Balance = { owner: string; cents: number; movements: number };
export type Transfer = { step: 'new' } | { step: 'depositing' | 'refunding'; from: string; cents: number };

const builder = new StreamsBuilder('bank');

// Commands in; events, replies and new state out, in one transaction. One writer per account, no locks.
const { events } = handleCommands(builder, account);

// A projection folds events into rows.
export const balances: ProjectedRows<Balance> = projection(builder, {
  name: 'balances',
  version: 1,
  from: events,
  initial: (): Balance => ({ owner: '', cents: 0, movements: 0 }),
  on: {
    opened: (row, { owner }) => ({ ...row, owner }),
    deposited: (row, { cents }) => ({ ...row, cents: row.cents + cents, movements: row.movements + 1 }),
    withdrawn: (row, { cents }) => ({ ...row, cents: row.cents - cents, movements: row.movements + 1 }),
  },
});

// A process is pure too: state and input in, state and actions out. Its commands have ids made from their cause.
export const transfer: ProcessManager<Event, Transfer> = processManager({
  name: 'transfer',
  from: account.events,
  correlate: (event) => ('transferId' in event ? event.transferId : undefined),
  state: json<Transfer>(),
  initialState: () => ({ step: 'new' }),
  react(state, input, { id, send }) {
    if (input.kind === 'event' && input.event.type === 'withdrawn' && input.event.to !== undefined) {
      const { to, cents } = input.event;
      const deposit = send(account, to, { type: 'deposit', cents, transferId: id });
      return { state: { step: 'depositing', from: input.from, cents }, actions: [deposit] };
    }
    if (input.kind === 'rejected' && state.step === 'depositing') {
      // Compensation: the money goes back.
      const refund = send(account, state.from, { type: 'deposit', cents: state.cents, transferId: id });
      return { state: { ...state, step: 'refunding' }, actions: [refund] };
    }
    return { state: null }; // deposited or refunded: done, and forgotten
  },
});
runProcess(builder, transfer);

export const topology: Topology = builder.build();
