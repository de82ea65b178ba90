/** The bank as a plan: accounts, transfers between them, and two read models. */
import { handleCommands, projection, runProcess } from '@millrace/eventsourcing';
import { bytes, topic } from '@millrace/serde';
import { StreamsBuilder, type Topology } from '@millrace/streams';
import { account } from './account.ts';
import { balance, transferRow, type Balance, type Transfer } from './contracts.ts';
import { transfer } from './transfer.ts';

/** Commands that cannot be read or decided: put aside with the reason, so that one of them does not stop the bank. */
export const deadLetters = topic('bank-dead-letters', { key: bytes, value: bytes });

const builder = new StreamsBuilder('bank');

// Commands in; events, replies and new state out, in one transaction. One writer per account, no locks.
const { events } = handleCommands(builder, account, { onError: { deadLetter: deadLetters.name } });
runProcess(builder, transfer);

export const balances = projection(builder, {
  name: 'balances',
  version: 1,
  from: events,
  value: balance,
  initial: (): Balance => ({ owner: '', cents: 0, movements: 0 }),
  on: {
    opened: (row, { owner }) => ({ ...row, owner }),
    deposited: (row, { cents }) => moved(row, cents),
    withdrawn: (row, { cents }) => moved(row, -cents),
    transferSent: (row, { cents }) => moved(row, -cents),
    transferReceived: (row, { cents }) => moved(row, cents),
    transferRefunded: (row, { cents }) => moved(row, cents),
  },
});

export const transfers = projection(builder, {
  name: 'transfers',
  version: 1,
  from: events,
  id: (event) => ('transferId' in event ? event.transferId : null),
  value: transferRow,
  initial: (): Transfer => ({ from: '', to: '', cents: 0, status: 'pending' }),
  on: {
    transferSent: (row, { from, to, cents }) => ({ ...row, from, to, cents, status: 'pending' }),
    transferReceived: (row) => ({ ...row, status: 'completed' }),
    transferRefunded: (row) => ({ ...row, status: 'refunded' }),
  },
});

function moved(row: Balance, cents: number): Balance {
  return { ...row, cents: row.cents + cents, movements: row.movements + 1 };
}

export const topology: Topology = builder.build();
