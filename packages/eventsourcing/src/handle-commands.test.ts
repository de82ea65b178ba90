import type { ConsumerRecord } from '@millrace/client';
import { json, string, topic, type SerdeContext } from '@millrace/serde';
import { hours, StreamsBuilder } from '@millrace/streams';
import { TestDriver, type CommitStep, type TestDriverOptions } from '@millrace/streams/testing';
import { describe, expect, it } from 'vitest';
import { account, type Command } from '../examples/bank/account.ts';
import { decider } from './decider.ts';
import { handleCommands, type HandleOptions } from './handle-commands.ts';
import { metadataOf } from './message-metadata.ts';
import { decodeEvents, replies, type ReplyRecord } from './replies.ts';

function bank(options: HandleOptions = {}, driverOptions: TestDriverOptions = {}) {
  const builder = new StreamsBuilder('bank');
  const { state } = handleCommands(builder, account, options);
  const driver = new TestDriver(builder.build(), driverOptions);
  let requests = 0;
  const pipe = (id: string, command: Command, headers: Readonly<Record<string, string>>, timestampMs?: number): void =>
    driver.pipeInput(account.commands, {
      key: id,
      value: command,
      timestampMs,
      headers: { 'millrace-reply-to': 'bus', 'millrace-request-id': String(requests++), ...headers },
    });
  const send = (...args: Parameters<typeof pipe>): unknown => {
    pipe(...args);
    const records = driver.readRecords(replies);
    expect(records).toHaveLength(1);
    return shown(records[0]!);
  };
  return { driver, state, pipe, send, [Symbol.dispose]: () => driver[Symbol.dispose]() };
}

function shown({ value }: ConsumerRecord<string, ReplyRecord>): unknown {
  const { events, ...rest } = value;
  return events === undefined ? rest : { ...rest, events: decodeEvents(account.event, events) };
}

const opened = { type: 'opened', owner: 'Ada', currency: 'EUR' };

it('answers an accepted command with its events, keeps the state, and publishes the events', () => {
  using app = bank();
  const reply = app.send('a', { type: 'open', owner: 'Ada' }, { 'millrace-id': 'c1' });
  expect(reply).toEqual({ status: 'accepted', version: 1, events: [opened] });
  expect(app.send('a', { type: 'deposit', cents: 5 }, { 'millrace-id': 'c2' })).toMatchObject({ version: 2 });
  expect(app.driver.store(app.state).get('a')).toEqual({
    state: { status: 'open', owner: 'Ada', cents: 5 },
    version: 2,
  });
  expect(app.driver.readRecords(account.events).map(({ key, value }) => [key, value])).toEqual([
    ['a', opened],
    ['a', { type: 'deposited', cents: 5 }],
  ]);
});

it('keeps no state of an aggregate to which nothing has happened, whatever commands it has accepted', () => {
  const quiet = decider({
    name: 'quiet',
    command: json<{ type: 'look' }>(),
    event: json<{ type: 'seen' }>(),
    state: json<{ seen: number }>(),
    stateVersion: 1,
    initialState: () => ({ seen: 0 }),
    decide: () => [],
    evolve: (state) => state,
  });
  const builder = new StreamsBuilder('quiet');
  const { state } = handleCommands(builder, quiet);
  using driver = new TestDriver(builder.build());
  driver.pipeInput(quiet.commands, { key: 'a', value: { type: 'look' }, headers: { 'millrace-reply-to': 'bus' } });
  expect(driver.readValues(replies)).toEqual([{ status: 'accepted', version: 0, events: [] }]);
  expect(driver.store(state).get('a')).toBeUndefined();
});

it('says in the headers of an event where it comes from', () => {
  using app = bank();
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  app.pipe(
    'a',
    { type: 'open', owner: 'Ada' },
    { 'millrace-id': 'c1', 'millrace-correlation-id': 'order-7', traceparent },
    50,
  );
  app.pipe('a', { type: 'deposit', cents: 5 }, { 'millrace-id': 'c2' }, 60);
  expect(app.driver.readRecords(account.events).map(metadataOf)).toEqual([
    { messageId: 'c1:0', causationId: 'c1', correlationId: 'order-7', version: 1, timestampMs: 50, traceparent },
    { messageId: 'c2:0', causationId: 'c2', correlationId: 'c2', version: 2, timestampMs: 60, traceparent: undefined },
  ]);
});

it('answers a rejection with its code, and changes nothing', () => {
  using app = bank();
  expect(app.send('a', { type: 'deposit', cents: 5 }, { 'millrace-id': 'c1' })).toEqual({
    status: 'rejected',
    version: 0,
    code: 'no-such-account',
  });
  app.send('a', { type: 'open', owner: 'Ada' }, { 'millrace-id': 'c2' });
  expect(app.send('a', { type: 'withdraw', cents: 1 }, { 'millrace-id': 'c3' })).toEqual({
    status: 'rejected',
    version: 1,
    code: 'insufficient-funds',
    message: '0 left',
  });
  expect(app.driver.store(app.state).get('a')).toMatchObject({ version: 1 });
});

it('routes a reply by the headers of its command, and sends none to who does not ask', () => {
  using app = bank();
  app.pipe(
    'a',
    { type: 'open', owner: 'Ada' },
    { 'millrace-id': 'c1', 'millrace-reply-to': 'bus-7', 'millrace-request-id': '42' },
  );
  const [reply] = app.driver.readRecords(replies);
  expect([reply?.headers.text('millrace-reply-to'), reply?.headers.text('millrace-request-id')]).toEqual([
    'bus-7',
    '42',
  ]);
  app.driver.pipeInput(account.commands, { key: 'b', value: { type: 'open', owner: 'Bob' } });
  expect(app.driver.readRecords(replies)).toEqual([]);
  expect(app.driver.readValues(account.events)).toHaveLength(2);
});

describe('expectedVersion', () => {
  it('is checked by the owner against what came before, and a conflict tells the version', () => {
    using app = bank();
    const expecting = (expected: string, cents: number): unknown =>
      app.send('a', { type: 'deposit', cents }, { 'millrace-expected-version': expected });
    expect(expecting('exists', 1)).toEqual({ status: 'conflict', version: 0 });
    app.send('a', { type: 'open', owner: 'Ada' }, { 'millrace-expected-version': '0' });
    expect(expecting('0', 1)).toEqual({ status: 'conflict', version: 1 });
    expect(expecting('1', 2)).toMatchObject({ status: 'accepted', version: 2 });
    expect(expecting('1', 3)).toEqual({ status: 'conflict', version: 2 }); // of two writers one was faster
    expect(expecting('exists', 4)).toMatchObject({ status: 'accepted', version: 3 });
    expect(app.driver.store(app.state).get('a')?.state).toMatchObject({ cents: 6 });
  });

  it('that makes no sense fails the record, by policy', () => {
    using app = bank({ onError: 'skip' });
    app.pipe('a', { type: 'open', owner: 'Ada' }, { 'millrace-expected-version': '-1' });
    expect(app.driver.readRecords(replies)).toEqual([]);
    expect(app.driver.readFailures()).toMatchObject([{ error: { code: 'INVALID_COMMAND' }, outcome: 'skipped' }]);
  });
});

describe('a command id', () => {
  const deposit: Command = { type: 'deposit', cents: 5 };

  it('seen again gets the first reply again, whatever happened since, and no events', () => {
    using app = bank();
    app.send('a', { type: 'open', owner: 'Ada' }, { 'millrace-id': 'c1' });
    const first = app.send('a', deposit, { 'millrace-id': 'c2' });
    app.send('a', deposit, { 'millrace-id': 'c3' });
    app.driver.readValues(account.events);
    expect(app.send('a', deposit, { 'millrace-id': 'c2', 'millrace-expected-version': '1' })).toEqual(first);
    expect(app.driver.readValues(account.events)).toEqual([]);
    expect(app.driver.store(app.state).get('a')).toMatchObject({ version: 3, state: { cents: 10 } });
  });

  it('of a rejected command gets the rejection again, though it would now be accepted', () => {
    using app = bank();
    const rejected = app.send('a', deposit, { 'millrace-id': 'c1' });
    app.send('a', { type: 'open', owner: 'Ada' }, { 'millrace-id': 'c2' });
    expect(app.send('a', deposit, { 'millrace-id': 'c1' })).toEqual(rejected);
  });

  it('of a conflict may be sent again', () => {
    using app = bank();
    app.send('a', { type: 'open', owner: 'Ada' }, {});
    const at = (version: string): unknown =>
      app.send('a', deposit, { 'millrace-id': 'c1', 'millrace-expected-version': version });
    expect(at('0')).toMatchObject({ status: 'conflict' });
    expect(at('1')).toMatchObject({ status: 'accepted', version: 2 });
  });

  it('with another payload is refused', () => {
    using app = bank();
    app.send('a', { type: 'open', owner: 'Ada' }, { 'millrace-id': 'c1' });
    app.send('a', deposit, { 'millrace-id': 'c2' });
    expect(app.send('a', { type: 'deposit', cents: 6 }, { 'millrace-id': 'c2' })).toEqual({
      status: 'reused',
      version: 2,
    });
    expect(app.driver.store(app.state).get('a')?.state).toMatchObject({ cents: 5 });
  });

  it('is another one at another aggregate', () => {
    using app = bank();
    for (const id of ['a', 'b']) {
      expect(app.send(id, { type: 'open', owner: 'Ada' }, { 'millrace-id': 'c1' })).toMatchObject({
        status: 'accepted',
      });
    }
  });

  it('is forgotten after idempotencyMs of the time of commands, not before', () => {
    using app = bank({ idempotencyMs: hours(1) });
    app.send('a', { type: 'open', owner: 'Ada' }, { 'millrace-id': 'c1' }, 0);
    app.send('a', deposit, { 'millrace-id': 'c2' }, 1000);
    expect(app.send('a', deposit, { 'millrace-id': 'c2' }, hours(1))).toMatchObject({ version: 2 });
    app.send('a', deposit, { 'millrace-id': 'c3' }, 1000 + hours(1) + 1);
    expect(app.send('a', deposit, { 'millrace-id': 'c2' }, 1000 + hours(1) + 2)).toMatchObject({ version: 4 });
  });

  it('that a client chose is never that of a process, though it reads the same', () => {
    using app = bank();
    app.send('a', { type: 'open', owner: 'Ada' }, {});
    app.send('a', deposit, { 'millrace-id': 'p1' });
    const ofProcess = { 'millrace-id': 'p1', 'millrace-process': 'transfer', 'millrace-process-id': 't1' };
    const received = app.send('a', { type: 'deposit', cents: 7 }, ofProcess);
    expect(received).toMatchObject({ status: 'accepted', version: 3 });
    expect(app.send('a', { type: 'deposit', cents: 7 }, ofProcess)).toEqual(received);
    expect(app.driver.store(app.state).get('a')?.state).toMatchObject({ cents: 12 });
  });

  it('that nobody gave makes each record a command of its own', () => {
    using app = bank();
    app.send('a', { type: 'open', owner: 'Ada' }, {});
    app.send('a', deposit, {});
    app.send('a', deposit, {});
    expect(app.driver.store(app.state).get('a')?.state).toMatchObject({ cents: 10 });
    expect(app.driver.readRecords(account.events).map((record) => metadataOf(record).messageId)).toEqual([
      'account-commands-0-0:0',
      'account-commands-0-1:0',
      'account-commands-0-2:0',
    ]);
  });
});

it('changes nothing where an event cannot be written, and the policy lets the command go', () => {
  const builder = new StreamsBuilder('counting');
  const counter = decider({
    name: 'counter',
    command: json<{ type: 'add'; n: number }>(),
    event: json<{ type: 'added'; n: number }>(),
    state: json<{ sum: number }>(),
    stateVersion: 1,
    initialState: () => ({ sum: 0 }),
    decide: (_, { n }) => [{ type: 'added', n }],
    evolve: ({ sum }, { n }) => ({ sum: sum + n }),
  });
  const { event } = counter;
  const strict = {
    ...event,
    serialize: (value: Parameters<typeof event.serialize>[0], context: SerdeContext) => {
      if (value.n > 9) throw new RangeError('too many');
      return event.serialize(value, context);
    },
  };
  const { state } = handleCommands(builder, { ...counter, event: strict }, { onError: 'skip' });
  using driver = new TestDriver(builder.build());
  for (const n of [1, 10, 2]) driver.pipeInput(counter.commands, { key: 'x', value: { type: 'add', n } });
  expect(driver.readFailures()).toHaveLength(1);
  expect(driver.readValues(counter.events)).toEqual([
    { type: 'added', n: 1 },
    { type: 'added', n: 2 },
  ]);
  expect(driver.store(state).get('x')).toEqual({ version: 2, state: { sum: 3 } });
});

const steps: CommitStep[] = ['drain', 'flushSinks', 'flushProducer', 'sendOffsets', 'commit', 'writeStores'];
it.each(steps)('has each command once when the app dies before %s: state, events and reply together', (step) => {
  using app = bank({}, { autoCommit: false });
  app.pipe('a', { type: 'open', owner: 'Ada' }, { 'millrace-id': 'c1' });
  app.driver.commit();
  app.pipe('a', { type: 'deposit', cents: 5 }, { 'millrace-id': 'c2' });
  app.driver.crashBefore(step);
  expect(() => app.driver.commit()).toThrow(expect.objectContaining({ code: 'SIMULATED_CRASH' }));
  app.driver.restart();
  app.driver.commit();
  app.pipe('a', { type: 'deposit', cents: 5 }, { 'millrace-id': 'c2' }); // the client had no reply, and asks again
  app.driver.commit();
  expect(app.driver.store(app.state).get('a')).toMatchObject({ version: 2, state: { cents: 5 } });
  expect(app.driver.readValues(account.events)).toEqual([opened, { type: 'deposited', cents: 5 }]);
  expect(app.driver.readRecords(replies).map(({ value }) => value.version)).toEqual([1, 2, 2]);
});

it('tells a process manager of rejections of its commands, and of nothing else', () => {
  using app = bank();
  const heard = topic('transfer-rejections', { key: string, value: json<unknown>() });
  const asProcess = { 'millrace-id': 'p1', 'millrace-process': 'transfer', 'millrace-process-id': 't1' };
  app.driver.pipeInput(account.commands, { key: 'a', value: { type: 'deposit', cents: 5 }, headers: asProcess });
  app.send('b', { type: 'deposit', cents: 5 }, { 'millrace-id': 'c1' });
  expect(app.driver.readRecords(heard).map(({ key, value }) => [key, value])).toEqual([
    ['t1', { code: 'no-such-account', to: 'a', commandId: 'p1', command: { type: 'deposit', cents: 5 } }],
  ]);
});
