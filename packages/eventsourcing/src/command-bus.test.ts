import { Broker } from '@millrace/broker';
import { Client, type ConsumerRecord } from '@millrace/client';
import { VirtualClock } from '@millrace/platform/simulated';
import { string, topic } from '@millrace/serde';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { account, type Command } from '../examples/bank/account.ts';
import { openCommandBus, type CommandBus } from './command-bus.ts';
import { replies, type ReplyRecord } from './replies.ts';

/** The owner of accounts is played by hand: it reads commands, and the test says what it replies, and when. */
describe('a command bus', () => {
  let broker: Broker;
  let client: Client;
  let clock: VirtualClock;
  let bus: CommandBus;
  let commands: AsyncIterator<ConsumerRecord<string, Command>>;
  const next = async (): Promise<ConsumerRecord<string, Command>> => (await commands.next()).value;
  const answer = async (to: ConsumerRecord<string, Command>, reply: ReplyRecord): Promise<void> => {
    await producer.send(replies, { key: to.key, value: reply, headers: to.headers });
  };
  let producer: ReturnType<Client['producer']>;

  beforeEach(async () => {
    broker = await Broker.open({ data: 'memory' });
    client = await Client.connect(broker);
    await client.admin.createTopics([account.commands]);
    clock = new VirtualClock();
    bus = await openCommandBus(client, { clock });
    producer = client.producer();
    commands = client.records(account.commands)[Symbol.asyncIterator]() as typeof commands;
  });
  afterEach(async () => {
    await bus.close();
    await client.close();
    await broker.close();
  });

  it('says in headers what is asked, and gives the reply with the place of the command', async () => {
    const sent = bus.send(
      account,
      'a',
      { type: 'deposit', cents: 5 },
      { commandId: 'c1', expectedVersion: 3, correlationId: 'order-7', traceparent: '00-1-2-01' },
    );
    const command = await next();
    expect([command.key, command.value]).toEqual(['a', { type: 'deposit', cents: 5 }]);
    expect(Object.fromEntries([...command.headers].map(([name]) => [name, command.headers.text(name)]))).toEqual({
      'millrace-id': 'c1',
      'millrace-correlation-id': 'order-7',
      'millrace-reply-to': expect.stringMatching(/^[0-9a-f-]{36}$/),
      'millrace-request-id': '0',
      'millrace-expected-version': '3',
      traceparent: '00-1-2-01',
    });
    const event = Buffer.from(JSON.stringify({ type: 'deposited', cents: 5 })).toString('base64');
    await answer(command, { status: 'accepted', version: 4, events: [event] });
    const { topic, partition, offset } = command;
    expect(await sent).toEqual({
      status: 'accepted',
      version: 4,
      position: { topic, partition, offset },
      events: [{ type: 'deposited', cents: 5 }],
    });
    expect(clock.pendingCount).toBe(0);
  });

  it('gives each of many calls its own reply, in whatever order they come', async () => {
    const sent = [1, 2, 3].map((cents) => bus.send(account, 'a', { type: 'deposit', cents }, { commandId: 'same' }));
    const received = [await next(), await next(), await next()];
    for (const command of received.toReversed()) {
      const cents = (command.value as { readonly cents: number }).cents;
      await answer(command, { status: 'rejected', version: cents, code: 'no-such-account', message: `no ${cents}` });
    }
    expect((await Promise.all(sent)).map((reply) => reply.status === 'rejected' && reply.message)).toEqual([
      'no 1',
      'no 2',
      'no 3',
    ]);
  });

  it('leaves replies to other buses alone, those of before it was opened too', async () => {
    await producer.send(replies, {
      key: 'a',
      value: { status: 'conflict', version: 1 },
      headers: { 'millrace-reply-to': 'other', 'millrace-request-id': '0' },
    });
    await using later = await openCommandBus(client, { clock });
    const sent = later.send(account, 'a', { type: 'deposit', cents: 5 });
    const command = await next();
    await producer.send(replies, {
      key: 'a',
      value: { status: 'conflict', version: 1 },
      headers: { 'millrace-reply-to': 'other', 'millrace-request-id': '0' },
    });
    await answer(command, { status: 'conflict', version: 2 });
    expect(await sent).toMatchObject({ status: 'conflict', version: 2 });
  });

  it('passes over what is no reply', async () => {
    const garbage = topic(replies.name, { key: string, value: string });
    const headers = { 'millrace-reply-to': 'x', 'millrace-request-id': '0' };
    await producer.send(garbage, { key: 'a', value: '{', headers });
    const sent = bus.send(account, 'a', { type: 'deposit', cents: 5 });
    await answer(await next(), { status: 'conflict', version: 1 });
    expect(await sent).toMatchObject({ status: 'conflict', version: 1 });
  });

  it('gives up after timeoutMs, and says with which id to ask again', async () => {
    const sent = bus.send(account, 'a', { type: 'deposit', cents: 5 }, { commandId: 'c1', timeoutMs: 200 });
    const outcome = expect(sent).rejects.toMatchObject({
      code: 'COMMAND_TIMEOUT',
      retriable: true,
      context: { decider: 'account', id: 'a', commandId: 'c1', timeoutMs: 200 },
    });
    const command = await next();
    await clock.advance(199);
    expect(clock.pendingCount).toBe(1);
    await clock.advance(1);
    await outcome;
    await answer(command, { status: 'conflict', version: 1 }); // too late, and no harm

    const again = bus.send(account, 'a', { type: 'deposit', cents: 5 }, { commandId: 'c1' });
    await answer(await next(), { status: 'conflict', version: 9 });
    expect(await again).toMatchObject({ version: 9 });
  });

  it('throws for an id that another command had', async () => {
    const sent = bus.send(account, 'a', { type: 'deposit', cents: 5 }, { commandId: 'c1' });
    const outcome = expect(sent).rejects.toMatchObject({ code: 'COMMAND_ID_REUSED' });
    await answer(await next(), { status: 'reused', version: 1 });
    await outcome;
  });

  it('stops waiting when the signal aborts', async () => {
    const controller = new AbortController();
    const sent = bus.send(account, 'a', { type: 'deposit', cents: 5 }, { signal: controller.signal });
    const outcome = expect(sent).rejects.toThrow('changed my mind');
    await next();
    controller.abort(new Error('changed my mind'));
    await outcome;
    const before = bus.send(account, 'a', { type: 'deposit', cents: 5 }, { signal: controller.signal });
    await expect(before).rejects.toThrow('changed my mind');
  });

  it('turns away who waits when it closes, and whoever comes later', async () => {
    const sent = bus.send(account, 'a', { type: 'deposit', cents: 5 });
    const outcome = expect(sent).rejects.toMatchObject({ code: 'CLOSED' });
    await next();
    await bus.close();
    await outcome;
    await expect(bus.send(account, 'a', { type: 'deposit', cents: 5 })).rejects.toMatchObject({ code: 'CLOSED' });
    await bus.close();
  });
});
