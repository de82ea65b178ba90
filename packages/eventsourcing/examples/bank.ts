/** The bank on a broker in this process: commands with replies, and a transfer that comes back. */
import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { openCommandBus, processTopic } from '@millrace/eventsourcing';
import { Streams } from '@millrace/streams';
import { account } from './bank/account.ts';
import { balances, topology, transfer } from './bank/plan.ts';

await using broker = await Broker.open({ data: 'memory' });
await using client = await Client.connect(broker);
await client.admin.createTopics([account.commands, account.events, processTopic(transfer)]);
await using bus = await openCommandBus(client);
// A reply is seen when it is committed: so it is committed at once, not at the next interval.
await using app = Streams.start(topology, { cluster: broker, commit: 'eager' });
await app.running;

await bus.send(account, 'ada', { type: 'open', owner: 'Ada' });
const deposited = await bus.send(account, 'ada', { type: 'deposit', cents: 500 }, { commandId: 'salary-2026-03' });
const again = await bus.send(account, 'ada', { type: 'deposit', cents: 500 }, { commandId: 'salary-2026-03' });
console.log(deposited.status, deposited.version, again.version); // the second is the first: nothing was doubled

const tooMuch = await bus.send(account, 'ada', { type: 'withdraw', cents: 900 });
console.log(tooMuch.status === 'rejected' && tooMuch.code);

const stale = await bus.send(account, 'ada', { type: 'deposit', cents: 1 }, { expectedVersion: 1 });
console.log(stale.status, stale.version); // somebody was faster

const { value } = await app.view(balances).get('ada', { after: deposited.position });
console.log(value);

// To an account that does not exist: the deposit is rejected there, and the process gives the money back.
await bus.send(account, 'ada', { type: 'withdraw', cents: 200, to: 'nobody', transferId: 't1' });
for await (const { value: event } of client.records(account.events)) {
  if (event.type === 'deposited' && event.transferId === 't1') break;
}
console.log(await bus.send(account, 'ada', { type: 'withdraw', cents: 500 }).then(({ status }) => status));
