import { nodePlatform, type Clock } from '@millrace/platform';
import { SeededRandom, VirtualClock } from '@millrace/platform/simulated';
import { apis } from '@millrace/protocol';
import { expect, it } from 'vitest';
import { bytesProducer, type BytesProducer } from '../bytes/index.ts';
import { Client } from '../client.ts';
import { ScriptedBroker, type Outcome } from '../testing/scripted-broker.ts';

const lingerMs = 20;

/** As a machine's clock: looking at it takes time, and a timer may fire a little before its time. */
class WornClock implements Clock {
  readonly #time: VirtualClock;
  readonly #lookMs: number;
  readonly #earlyMs: number;
  #looks = 0;

  constructor(time: VirtualClock, lookMs: number, earlyMs: number) {
    this.#time = time;
    this.#lookMs = lookMs;
    this.#earlyMs = earlyMs;
  }

  now(): number {
    return this.#time.now();
  }

  monotonic(): number {
    return this.#time.monotonic() + this.#lookMs * this.#looks++;
  }

  after(delayMs: number, task: () => void): () => void {
    return this.#time.after(Math.max(0, delayMs - this.#earlyMs), task);
  }

  defer(task: () => void): void {
    this.#time.defer(task);
  }
}

async function connect(
  time: VirtualClock,
  clock: Clock,
  produced: (partition: number) => Promise<Outcome<typeof apis.produce>>,
): Promise<{ client: Client; producer: BytesProducer; broker: ScriptedBroker }> {
  const broker = new ScriptedBroker(time);
  broker.topics.set('orders', 2);
  broker.on(apis.produce, (request) => produced(request.topicData[0]!.partitionData[0]!.index));
  const connecting = Client.connect(broker, { platform: { ...nodePlatform(), clock, random: new SeededRandom(1) } });
  await time.advance(10);
  const client = await connecting;
  return { client, broker, producer: bytesProducer(client, { lingerMs }) };
}

function acknowledged(index: number): Outcome<typeof apis.produce> {
  return { responses: [{ name: 'orders', partitionResponses: [{ index, baseOffset: 0 }] }] };
}

function produceCount(broker: ScriptedBroker): number {
  return broker.arrivals.filter((name) => name === 'Produce').length;
}

it('sends a batch whose linger ends while the sender looks at the clock', async () => {
  const waiting: string[] = [];
  // Wherever between the sender's looks the time falls at which the batch is due.
  for (const lookMs of [0.05, 0.1, 0.2]) {
    for (let earlyMs = 0; earlyMs <= 2; earlyMs += 0.05) {
      const time = new VirtualClock(1_000_000);
      const clock = new WornClock(time, lookMs, earlyMs);
      const { client, broker, producer } = await connect(time, clock, (index) => Promise.resolve(acknowledged(index)));
      producer.append('orders', 0, 1, null, Buffer.from('first')); // connects, and gets an id
      await time.advance(100);
      producer.append('orders', 0, 1, null, Buffer.from('second'));
      await time.advance(100);
      if (produceCount(broker) !== 2) waiting.push(`${lookMs} ms a look, timers ${earlyMs.toFixed(2)} ms early`);
      const closed = client.close();
      await time.advance(60_000);
      await closed;
    }
  }
  expect(waiting).toEqual([]);
});

it('sends what is due in one partition while what is due in another has to wait', async () => {
  const time = new VirtualClock(1_000_000);
  let release: () => void = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const { client, broker, producer } = await connect(time, time, async (index) => {
    if (index === 0) await held;
    return acknowledged(index);
  });
  producer.append('orders', 0, 1, null, Buffer.from('unanswered'));
  await time.advance(lingerMs);
  expect(produceCount(broker)).toBe(1);
  producer.append('orders', 0, 1, null, Buffer.from('behind it')); // the first of a partition goes alone
  await time.advance(lingerMs / 2);
  producer.append('orders', 1, 1, null, Buffer.from('elsewhere'));
  await time.advance(lingerMs - 1);
  expect(produceCount(broker)).toBe(1);
  await time.advance(1);
  expect(produceCount(broker)).toBe(2);
  release();
  const closed = client.close();
  await time.advance(60_000);
  await closed;
});
