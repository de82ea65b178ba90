import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { deadLetterOf, deadLetters, Streams, StreamsBuilder } from '@millrace/streams';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { account } from '../examples/bank/account.ts';
import { balances, topology, transfer } from '../examples/bank/plan.ts';
import { openCommandBus, type CommandBus } from './command-bus.ts';
import { handleCommands } from './handle-commands.ts';
import { processTopic } from './run-process.ts';

describe('the bank on a broker', () => {
  let broker: Broker;
  let client: Client;
  let bus: CommandBus;
  const start = (): Streams => Streams.start(topology, { cluster: broker, commit: 'eager' });

  beforeEach(async () => {
    broker = await Broker.open({ data: 'memory' });
    client = await Client.connect(broker);
    await client.admin.createTopics([account.commands, account.events, processTopic(transfer)]);
    bus = await openCommandBus(client);
  });
  afterEach(async () => {
    await bus.close();
    await client.close();
    await broker.close();
  });
  const events = async (): Promise<string[]> => {
    const seen: string[] = [];
    for await (const { key, value } of client.records(account.events, { to: 'end' })) {
      seen.push(`${key} ${value.type}${'cents' in value ? ` ${value.cents}` : ''}`);
    }
    return seen;
  };

  it('answers, and lets who was answered read what was written', async () => {
    await using app = start();
    await app.running;
    expect(await bus.send(account, 'ada', { type: 'open', owner: 'Ada' })).toMatchObject({
      status: 'accepted',
      version: 1,
    });
    const reply = await bus.send(account, 'ada', { type: 'deposit', cents: 5 });
    const { value } = await app.view(balances).get('ada', { after: reply.position });
    expect(value).toEqual({ owner: 'Ada', cents: 5, movements: 1 });
  });

  it('does not double a command that is sent again and again under one id, by several callers', async () => {
    await using app = start();
    await app.running;
    await bus.send(account, 'ada', { type: 'open', owner: 'Ada' });
    const salary = { type: 'deposit', cents: 500 } as const;
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => bus.send(account, 'ada', salary, { commandId: 'salary' })),
    );
    expect(new Set(answers.map(({ status, version }) => `${status} ${version}`))).toEqual(new Set(['accepted 2']));
    expect(await events()).toEqual(['ada opened', 'ada deposited 500']);
  });

  it('lets one of many through that expect the same version', async () => {
    await using app = start();
    await app.running;
    await bus.send(account, 'ada', { type: 'open', owner: 'Ada' });
    const answers = await Promise.all(
      Array.from({ length: 10 }, (_, cents) =>
        bus.send(account, 'ada', { type: 'deposit', cents: cents + 1 }, { expectedVersion: 1 }),
      ),
    );
    expect(answers.filter(({ status }) => status === 'accepted')).toHaveLength(1);
    expect(answers.filter(({ status, version }) => status === 'conflict' && version === 2)).toHaveLength(9);
  });

  it('goes on after an owner that vanished in the middle: no command is lost, none is doubled', async () => {
    const accounts = ['ada', 'bob', 'eve'];
    {
      await using app = start();
      await app.running;
      for (const id of accounts) await bus.send(account, id, { type: 'open', owner: id });
    }
    // Callers do not know that nobody is there: they ask again under the same id until they are answered.
    const deposit = async (id: string, n: number): Promise<void> => {
      for (;;) {
        try {
          const options = { commandId: `${id}-${n}`, timeoutMs: 250 };
          const reply = await bus.send(account, id, { type: 'deposit', cents: n }, options);
          expect(reply.status).toBe('accepted');
          return;
        } catch (error) {
          if ((error as { readonly code?: unknown }).code !== 'COMMAND_TIMEOUT') throw error;
        }
      }
    };
    const numbers = Array.from({ length: 20 }, (_, n) => n + 1);
    const all = Promise.all(accounts.flatMap((id) => numbers.map((n) => deposit(id, n))));
    {
      const app = start();
      await app.running;
      await app.close({ timeoutMs: 0 }); // without a last commit, as when it dies
    }
    await using app = start();
    await app.running;
    await all;
    const seen = await events();
    expect(seen.toSorted()).toEqual(
      accounts.flatMap((id) => [`${id} opened`, ...numbers.map((n) => `${id} deposited ${n}`)]).toSorted(),
    );
  }, 30_000);

  it('moves money from account to account, and back where it is refused', async () => {
    await using app = start();
    await app.running;
    for (const id of ['ada', 'bob']) {
      await bus.send(account, id, { type: 'open', owner: id });
      await bus.send(account, id, { type: 'deposit', cents: 100 });
    }
    await bus.send(account, 'ada', { type: 'withdraw', cents: 30, to: 'bob', transferId: 't1' });
    await bus.send(account, 'ada', { type: 'withdraw', cents: 20, to: 'nobody', transferId: 't2' });
    const done = new Set<string>();
    for await (const { value } of client.records(account.events)) {
      if (value.type === 'deposited' && value.transferId !== undefined) done.add(value.transferId);
      if (done.size === 2) break;
    }
    expect((await events()).toSorted()).toEqual(
      [
        'ada opened',
        'ada deposited 100',
        'bob opened',
        'bob deposited 100',
        'ada withdrawn 30',
        'bob deposited 30',
        'ada withdrawn 20',
        'ada deposited 20',
      ].toSorted(),
    );
  });

  it.each([
    ['that is not there', 'nobody'],
    ['that no topic can have', 'no body'],
  ])('puts a rejected command aside whose headers name a process %s, and goes on', async (_, process) => {
    await using strict = await Broker.open({ data: 'memory', config: { 'auto.create.topics.enable': false } });
    await using sender = await Client.connect(strict);
    const aside = deadLetters('aside');
    await sender.admin.createTopics([account.commands, account.events, aside]);
    await using strictBus = await openCommandBus(sender);
    const builder = new StreamsBuilder('bank');
    handleCommands(builder, account, { onError: { deadLetter: aside.name } });
    await using app = Streams.start(builder.build(), { cluster: strict, commit: 'eager' });
    await app.running;
    const producer = sender.producer();
    await producer.send(account.commands, {
      key: 'ada',
      value: { type: 'deposit', cents: 5 },
      headers: { 'millrace-process': process },
    });
    const opening = strictBus.send(account, 'ada', { type: 'open', owner: 'Ada' }, { timeoutMs: 15_000 });
    await Promise.race([opening, app.done]);
    expect(await opening).toMatchObject({ status: 'accepted', version: 1 });
    for await (const letter of sender.records(aside)) {
      expect(deadLetterOf(letter)).toMatchObject({
        node: 'account-to-processes',
        source: { topic: 'account-commands', offset: 0 },
      });
      break;
    }
  });
});
