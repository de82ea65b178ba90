import { json, string, topic } from '@millrace/serde';
import { seconds, StreamsBuilder } from '@millrace/streams';
import { TestDriver, type CommitStep } from '@millrace/streams/testing';
import { describe, expect, it } from 'vitest';
import { account } from '../examples/bank/account.ts';
import { balances, topology, transfer } from '../examples/bank/plan.ts';
import { processManager } from './process-manager.ts';
import { projection } from './projection.ts';
import { processTopic, runProcess } from './run-process.ts';
import { givenProcess } from './testing/index.ts';

const money = (driver: TestDriver, id: string): number | undefined => driver.store(balances).get(id)?.cents;
const withdraw = (cents: number, to: string, transferId: string) =>
  ({ type: 'withdraw', cents, to, transferId }) as const;

function openAccounts(driver: TestDriver, ...ids: readonly string[]): void {
  for (const id of ids) {
    driver.pipeInput(account.commands, { key: id, value: { type: 'open', owner: id } });
    driver.pipeInput(account.commands, { key: id, value: { type: 'deposit', cents: 100 } });
  }
}

describe('a transfer', () => {
  it('moves money from one account to the other', () => {
    using driver = new TestDriver(topology, { numPartitions: 3 });
    openAccounts(driver, 'ada', 'bob');
    driver.pipeInput(account.commands, { key: 'ada', value: withdraw(30, 'bob', 't1') });
    expect([money(driver, 'ada'), money(driver, 'bob')]).toEqual([70, 130]);
    expect(driver.store({ storeName: 'transfer-processes' })).toBeDefined();
  });

  it('gives it back when the other account refuses it', () => {
    using driver = new TestDriver(topology, { numPartitions: 3 });
    openAccounts(driver, 'ada');
    driver.pipeInput(account.commands, { key: 'ada', value: withdraw(30, 'nobody', 't1') });
    expect(money(driver, 'ada')).toBe(100);
    expect(driver.store(balances).get('ada')?.movements).toBe(3);
    expect(driver.readValues(processTopic(transfer))).toMatchObject([{ code: 'no-such-account', to: 'nobody' }]);
  });

  const steps: CommitStep[] = ['drain', 'flushSinks', 'flushProducer', 'sendOffsets', 'commit', 'writeStores'];
  it.each(steps)('happens once when the app dies before %s of the commit that took the money', (step) => {
    using driver = new TestDriver(topology);
    openAccounts(driver, 'ada', 'bob');
    driver.crashBefore(step);
    const transferred = { key: 'ada', value: withdraw(30, 'bob', 't1') };
    expect(() => driver.pipeInput(account.commands, transferred)).toThrow(
      expect.objectContaining({ code: 'SIMULATED_CRASH' }),
    );
    driver.restart();
    driver.commit();
    expect([money(driver, 'ada'), money(driver, 'bob')]).toEqual([70, 130]);
  });
});

it('is tested without anything around it', () => {
  const withdrawn = { type: 'withdrawn', cents: 30, to: 'bob', transferId: 'process-id' } as const;
  const depositing = givenProcess(transfer, [{ kind: 'event', event: withdrawn, from: 'ada' }]);
  expect(depositing.state).toEqual({ step: 'depositing', from: 'ada', cents: 30 });
  const rejected = { kind: 'rejected', code: 'no-such-account', to: 'bob', command: { type: 'deposit' } } as const;
  const back = { type: 'deposit', cents: 30, transferId: 'process-id' } as const;
  depositing.when(rejected).then(({ send }) => [send(account, 'ada', back)]);
  expect(() => depositing.when(rejected).then(({ send }) => [send(account, 'bob', back)])).toThrow(/ada/);
  expect(() => depositing.when(rejected).then(() => [])).toThrow(/deposit/);
  expect(givenProcess(transfer, []).state).toEqual({ step: 'new' });
});

describe('a timeout', () => {
  type Order = { type: 'placed' | 'paid' | 'reminded'; cents: number };
  const orders = topic('orders', { key: string, value: json<Order>() });
  const reminder = processManager({
    name: 'reminder',
    from: [orders],
    correlate: (_, orderId) => orderId,
    state: json<{ cents: number }>(),
    initialState: () => ({ cents: 0 }),
    react(state, input, { send, setTimeout, clearTimeout, id }) {
      if (input.kind === 'timeout') {
        const charge = send(account, id, { type: 'withdraw', cents: state.cents });
        return { state: null, actions: [charge] };
      }
      if (input.kind === 'event' && input.event.type === 'placed') {
        return { state: { cents: input.event.cents }, actions: [setTimeout('unpaid', seconds(30))] };
      }
      if (input.kind === 'event' && input.event.type === 'reminded') {
        return { state, actions: [clearTimeout('unpaid'), setTimeout('unpaid', seconds(60))] };
      }
      return { state: null }; // paid
    },
  });
  const plan = () => {
    const builder = new StreamsBuilder('reminders');
    const processes = runProcess(builder, reminder);
    return { topology: builder.build(), processes };
  };
  const placed = { key: 'o1', value: { type: 'placed', cents: 7 } as const, headers: { 'millrace-id': 'e1' } };

  it('sets off at its time, not before, and its commands have ids made from their cause', () => {
    const { topology: reminders, processes } = plan();
    using driver = new TestDriver(reminders);
    driver.pipeInput(orders, placed);
    expect(driver.store(processes).get('o1')).toEqual({ state: { cents: 7 }, timeouts: ['unpaid'] });
    driver.advanceWallClockTime(seconds(30) - 1);
    expect(driver.readRecords(account.commands)).toEqual([]);
    driver.advanceWallClockTime(1);
    const [command, ...others] = driver.readRecords(account.commands);
    expect(others).toEqual([]);
    expect([command?.key, command?.value]).toEqual(['o1', { type: 'withdraw', cents: 7 }]);
    expect([...command!.headers].map(([name, value]) => [name, Buffer.from(value!).toString()])).toEqual([
      ['millrace-id', 'reminder:o1:unpaid@30000:0'],
      ['millrace-causation-id', 'unpaid@30000'],
      ['millrace-correlation-id', 'reminder:o1'],
      ['millrace-process', 'reminder'],
      ['millrace-process-id', 'o1'],
    ]);
    expect(driver.store(processes).get('o1')).toBeUndefined();
  });

  it('gives commands other ids where processes and causes read the same when joined', () => {
    using driver = new TestDriver(plan().topology);
    driver.pipeInput(orders, { ...placed, key: 'o:unpaid@30000:0:unpaid@30000', timestampMs: 0 });
    driver.pipeInput(orders, { ...placed, key: 'o', timestampMs: 0 });
    driver.advanceWallClockTime(seconds(30));
    const ids = driver.readRecords(account.commands).map(({ headers }) => headers.text('millrace-id'));
    expect(ids).toHaveLength(2);
    expect(new Set(ids)).toEqual(
      new Set(['reminder:o%3Aunpaid%4030000%3A0%3Aunpaid%4030000:unpaid@30000:0', 'reminder:o:unpaid@30000:0']),
    );
  });

  it('goes with a process that is over', () => {
    using driver = new TestDriver(plan().topology);
    driver.pipeInput(orders, placed);
    driver.pipeInput(orders, { key: 'o1', value: { type: 'paid', cents: 7 } });
    driver.advanceWallClockTime(seconds(100));
    expect(driver.readRecords(account.commands)).toEqual([]);
  });

  it('moves when it is set again', () => {
    using driver = new TestDriver(plan().topology);
    driver.pipeInput(orders, placed);
    driver.advanceWallClockTime(seconds(20));
    driver.pipeInput(orders, { key: 'o1', value: { type: 'reminded', cents: 7 } });
    driver.advanceWallClockTime(seconds(60) - 1);
    expect(driver.readRecords(account.commands)).toEqual([]);
    driver.advanceWallClockTime(1);
    expect(driver.readRecords(account.commands)).toHaveLength(1);
  });

  it('of a process that is over is none of the next one under its id, and one that has set off is forgotten', () => {
    const counting = processManager({
      name: 'counting',
      from: [orders],
      correlate: (_, orderId) => orderId,
      state: json<{ fired: number }>(),
      initialState: () => ({ fired: 0 }),
      react(state, input, { setTimeout }) {
        if (input.kind === 'timeout') return { state: { fired: state.fired + 1 } };
        const type = input.kind === 'event' ? input.event.type : 'paid';
        if (type === 'placed') return { state, actions: [setTimeout('unpaid', seconds(30))] };
        return { state: type === 'paid' ? null : state };
      },
    });
    const builder = new StreamsBuilder('counters');
    const processes = runProcess(builder, counting);
    using driver = new TestDriver(builder.build());
    for (const type of ['placed', 'paid', 'reminded'] as const) {
      driver.pipeInput(orders, { key: 'o1', value: { type, cents: 7 } });
    }
    driver.advanceWallClockTime(seconds(60));
    expect(driver.store(processes).get('o1')).toEqual({ state: { fired: 0 }, timeouts: [] });
    driver.pipeInput(orders, placed);
    driver.advanceWallClockTime(seconds(60));
    expect(driver.store(processes).get('o1')).toEqual({ state: { fired: 1 }, timeouts: [] });
  });

  it('that was called off is forgotten, and one that is due with another that ends the process does not set off', () => {
    const racing = processManager({
      name: 'racing',
      from: [orders],
      correlate: (_, orderId) => orderId,
      state: json<{ fired: string[] }>(),
      initialState: () => ({ fired: [] }),
      react(state, input, { send, setTimeout, clearTimeout, id }) {
        if (input.kind === 'timeout') {
          return { state: null, actions: [send(account, id, { type: 'open', owner: input.name })] };
        }
        const isPlaced = input.kind === 'event' && input.event.type === 'placed';
        const both = [setTimeout('first', seconds(30)), setTimeout('second', seconds(30))];
        return { state, actions: isPlaced ? both : [clearTimeout('second')] };
      },
    });
    const builder = new StreamsBuilder('races');
    const processes = runProcess(builder, racing);
    using driver = new TestDriver(builder.build());
    driver.pipeInput(orders, placed);
    driver.advanceWallClockTime(seconds(30));
    expect(driver.readValues(account.commands)).toEqual([{ type: 'open', owner: 'first' }]);
    expect(driver.store(processes).get('o1')).toBeUndefined();

    driver.pipeInput(orders, placed, { key: 'o1', value: { type: 'paid', cents: 7 } });
    expect(driver.store(processes).get('o1')).toEqual({ state: { fired: [] }, timeouts: ['first'] });
  });

  it('survives a restart', () => {
    using driver = new TestDriver(plan().topology);
    driver.pipeInput(orders, placed);
    driver.advanceWallClockTime(seconds(10));
    driver.restart();
    driver.advanceWallClockTime(seconds(20));
    expect(driver.readRecords(account.commands)).toHaveLength(1);
  });
});

describe('a projection', () => {
  type Moved = { type: 'moved'; to: string; cents: number } | { type: 'left' } | { type: 'other' };
  const moves = topic('moves', { key: string, value: json<Moved>() });

  it('gives each event to the row that its id names, with its metadata; null deletes, and others are passed over', () => {
    const builder = new StreamsBuilder('places');
    const rows = projection(builder, {
      name: 'places',
      version: 3,
      from: moves,
      id: (event, aggregateId) => (event.type === 'moved' ? event.to : event.type === 'left' ? aggregateId : null),
      initial: () => ({ sum: 0, by: '' }),
      on: {
        moved: (row, { cents }, { messageId }) => ({ sum: row.sum + cents, by: messageId }),
        left: () => null,
      },
    });
    using driver = new TestDriver(builder.build(), { numPartitions: 4 });
    driver.pipeInput(
      moves,
      { key: 'x', value: { type: 'moved', to: 'zrh', cents: 1 }, headers: { 'millrace-id': 'm1' } },
      { key: 'y', value: { type: 'moved', to: 'zrh', cents: 2 }, headers: { 'millrace-id': 'm2' } },
      { key: 'y', value: { type: 'moved', to: 'gva', cents: 4 }, headers: { 'millrace-id': 'm3' } },
      { key: 'z', value: { type: 'other' } },
    );
    expect(rows.storeName).toBe('places-v3');
    expect(Object.fromEntries(driver.store(rows).all())).toEqual({
      zrh: { sum: 3, by: 'm2' },
      gva: { sum: 4, by: 'm3' },
    });
    driver.pipeInput(moves, { key: 'zrh', value: { type: 'left' } });
    expect(Object.fromEntries(driver.store(rows).all())).toEqual({ gva: { sum: 4, by: 'm3' } });
  });
});
