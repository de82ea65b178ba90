import { delay, nodePlatform, type Platform } from '@millrace/platform';
import { SeededRandom, VirtualClock } from '@millrace/platform/simulated';
import { apis, errorCodes, type ResponseInput } from '@millrace/protocol';
import { afterEach, describe, expect, it } from 'vitest';
import { bytesProducer, type BytesProducer } from '../bytes/index.ts';
import { Client } from '../client.ts';
import type { ProducerOptions } from '../producer-options.ts';
import { PartitionModel } from '../testing/partition-model.ts';
import { ScriptedBroker, type Outcome } from '../testing/scripted-broker.ts';

type ProduceOutcome = Outcome<typeof apis.produce>;
/** What a step of the script does with a batch; `append` puts it into the log. */
type Step = (append: () => ProduceOutcome, answer: (errorCode: number) => ProduceOutcome) => ProduceOutcome;

const succeed: Step = (append) => append();
const answerLost: Step = (append) => (append(), 'lost');
const cutAfterAppend: Step = (append) => (append(), 'cut');
const cutBefore: Step = () => 'cut';
const refuse =
  (errorCode: number): Step =>
  (_append, answer) =>
    answer(errorCode);

class Bench {
  readonly clock = new VirtualClock(1_000_000);
  readonly broker = new ScriptedBroker(this.clock);
  readonly log = new PartitionModel();
  readonly steps: Step[] = [];
  /** Epoch and sequence of each batch that arrived. */
  readonly arrived: string[] = [];
  platform!: Platform;
  client!: Client;
  producer!: BytesProducer;
  /** How long each answer takes. */
  latencyMs = 0;

  static async open(options: ProducerOptions = {}, seed: number = 1): Promise<Bench> {
    const bench = new Bench();
    bench.broker.topics.set('orders', 1);
    bench.platform = { ...nodePlatform(), clock: bench.clock, random: new SeededRandom(seed) };
    bench.broker.on(apis.produce, async (request): Promise<ProduceOutcome> => {
      if (bench.latencyMs > 0) await delay(bench.clock, bench.latencyMs);
      const { index, records } = request.topicData[0]!.partitionData[0]!;
      const batch = records as Uint8Array;
      const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
      bench.arrived.push(`${view.getInt16(51)}:${view.getInt32(53)}`);
      const answer = (errorCode: number, baseOffset: number = -1): ResponseInput<typeof apis.produce> => ({
        responses: [{ name: 'orders', partitionResponses: [{ index, errorCode, baseOffset }] }],
      });
      const append = (): ProduceOutcome => {
        const { errorCode, baseOffset } = bench.log.append(batch);
        return answer(errorCode, baseOffset);
      };
      return (bench.steps.shift() ?? succeed)(append, answer);
    });
    const connecting = Client.connect(bench.broker, { platform: bench.platform });
    await bench.clock.advance(10);
    bench.client = await connecting;
    bench.producer = bytesProducer(bench.client, options);
    return bench;
  }

  append(value: string): void {
    this.producer.append('orders', 0, 1, null, Buffer.from(value));
  }

  /** Each value in a batch of its own, all of them on their way at once. */
  async appendApart(...values: string[]): Promise<void> {
    for (const value of values) {
      this.append(value);
      await this.clock.advance(0);
    }
  }

  async flush(forMs: number = 200_000): Promise<unknown> {
    let outcome: unknown = 'pending';
    this.producer.flush().then(
      () => (outcome = 'flushed'),
      (error: Error & { code?: string }) => (outcome = error.code),
    );
    for (let waitedMs = 0; outcome === 'pending' && waitedMs < forMs; waitedMs += 50) await this.clock.advance(50);
    return outcome;
  }
}

const benches: Bench[] = [];
async function open(options?: ProducerOptions, seed?: number): Promise<Bench> {
  const bench = await Bench.open(options, seed);
  benches.push(bench);
  return bench;
}

afterEach(async () => {
  for (const bench of benches.splice(0)) {
    const closed = bench.client.close();
    await bench.clock.advance(60_000);
    await closed;
  }
});

describe('an idempotent producer', () => {
  it('sends what one turn of the loop appends as one batch', async () => {
    const bench = await open();
    for (const value of ['a', 'b', 'c']) bench.append(value);
    expect(await bench.flush()).toBe('flushed');
    expect(bench.arrived).toEqual(['0:0']);
    expect(bench.log.values).toEqual(['a', 'b', 'c']);
    expect(bench.producer.ackedEndOffset('orders', 0)).toBe(3);
  });

  it('sends a batch again with its sequence when the answer is lost, so that it is written once', async () => {
    const bench = await open();
    bench.append('first');
    expect(await bench.flush()).toBe('flushed');
    bench.steps.push(answerLost);
    await bench.appendApart('a', 'b', 'c');
    expect(await bench.flush()).toBe('flushed');
    expect(bench.log.values).toEqual(['first', 'a', 'b', 'c']);
    expect(bench.arrived).toEqual(['0:0', '0:1', '0:2', '0:3', '0:1']);
    expect(bench.producer.ackedEndOffset('orders', 0)).toBe(4);
  });

  it('keeps the order when the connection breaks in the middle of five batches', async () => {
    const bench = await open();
    bench.steps.push(succeed, cutAfterAppend);
    await bench.appendApart('a', 'b', 'c', 'd', 'e');
    expect(await bench.flush()).toBe('flushed');
    expect(bench.log.values).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  it('has at most five batches of a partition on their way, and what comes meanwhile fills one batch', async () => {
    const bench = await open();
    bench.append('first');
    expect(await bench.flush()).toBe('flushed');
    bench.latencyMs = 1_000;
    await bench.appendApart('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
    await bench.clock.advance(500);
    expect(bench.broker.arrivals.filter((name) => name === 'Produce').length).toBe(1 + 5);
    expect(await bench.flush()).toBe('flushed');
    expect(bench.log.values).toEqual(['first', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']);
    expect(bench.arrived).toEqual(['0:0', '0:1', '0:2', '0:3', '0:4', '0:5', '0:6']);
  });

  it('gives those behind a batch that was refused for good its sequence, and writes them', async () => {
    const bench = await open();
    bench.steps.push(succeed, refuse(errorCodes.INVALID_RECORD));
    await bench.appendApart('a', 'refused', 'c', 'd');
    expect(await bench.flush()).toBe('INVALID_RECORD');
    expect(bench.log.values).toEqual(['a', 'c', 'd']);
    expect(await bench.flush()).toBe('flushed');
    bench.append('e');
    expect(await bench.flush()).toBe('flushed');
    expect(bench.log.values).toEqual(['a', 'c', 'd', 'e']);
    expect(bench.arrived.every((arrived) => arrived.startsWith('0:'))).toBe(true);
  });

  it('raises its epoch when the broker does not know its sequence, and writes nothing twice', async () => {
    const bench = await open();
    bench.append('a');
    expect(await bench.flush()).toBe('flushed');
    bench.steps.push(refuse(errorCodes.OUT_OF_ORDER_SEQUENCE_NUMBER));
    bench.append('b');
    expect(await bench.flush()).toBe('flushed');
    expect(bench.arrived).toEqual(['0:0', '0:1', '1:0']);
    expect(bench.log.values).toEqual(['a', 'b']);
  });

  it('waits for a new leader and sends again, in order', async () => {
    const bench = await open();
    bench.steps.push(
      refuse(errorCodes.NOT_LEADER_OR_FOLLOWER),
      refuse(errorCodes.NOT_LEADER_OR_FOLLOWER),
      refuse(errorCodes.NOT_LEADER_OR_FOLLOWER),
    );
    await bench.appendApart('a', 'b', 'c');
    expect(await bench.flush()).toBe('flushed');
    expect(bench.log.values).toEqual(['a', 'b', 'c']);
  });

  it('sends one batch alone until the broker knows it, as an unknown producer may begin with any sequence', async () => {
    const bench = await open();
    bench.latencyMs = 20;
    bench.steps.push(refuse(errorCodes.NOT_LEADER_OR_FOLLOWER));
    await bench.appendApart('a', 'b', 'c');
    expect(await bench.flush()).toBe('flushed');
    expect(bench.log.values).toEqual(['a', 'b', 'c']);
    expect(bench.arrived).toEqual(['0:0', '0:0', '0:1']);
  });

  it('fails what is not acknowledged by deliveryTimeoutMs, and goes on with a higher epoch', async () => {
    const bench = await open({ deliveryTimeoutMs: 1_000 });
    bench.append('a');
    expect(await bench.flush()).toBe('flushed');
    bench.steps.push(() => 'lost');
    bench.append('expired');
    const startMs = bench.clock.monotonic();
    expect(await bench.flush()).toBe('DELIVERY_TIMEOUT');
    expect(bench.clock.monotonic() - startMs).toBeLessThanOrEqual(1_050);
    bench.broker.cutAll();
    bench.append('b');
    expect(await bench.flush()).toBe('flushed');
    expect(bench.arrived).toEqual(['0:0', '0:1', '1:0']);
    expect(bench.log.values).toEqual(['a', 'b']);
  });

  it('splits a batch that is too large until its records fit, and keeps their order', async () => {
    const bench = await open();
    bench.steps.push(refuse(errorCodes.MESSAGE_TOO_LARGE), refuse(errorCodes.MESSAGE_TOO_LARGE));
    for (const value of ['a', 'b', 'c', 'd', 'e']) bench.append(value);
    expect(await bench.flush()).toBe('flushed');
    expect(bench.log.values).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(bench.producer.ackedEndOffset('orders', 0)).toBe(5);
  });

  it('fails a single record that is too large, and only that one', async () => {
    const bench = await open();
    bench.steps.push(refuse(errorCodes.MESSAGE_TOO_LARGE));
    bench.append('huge');
    expect(await bench.flush()).toBe('MESSAGE_TOO_LARGE');
    bench.append('b');
    expect(await bench.flush()).toBe('flushed');
    expect(bench.log.values).toEqual(['b']);
  });

  it('says that a topic is unknown after unknownTopicTimeoutMs, not before', async () => {
    const bench = await open();
    bench.producer.append('nowhere', 0, 1, null, Buffer.from('x'));
    const startMs = bench.clock.monotonic();
    expect(await bench.flush()).toBe('UNKNOWN_TOPIC_OR_PARTITION');
    expect(bench.clock.monotonic() - startMs).toBeGreaterThanOrEqual(5_000);
    expect(bench.clock.monotonic() - startMs).toBeLessThan(5_500);
  });

  it('says that its buffer is full, and when there is room again', async () => {
    const bench = await open({ bufferMemoryBytes: 1_000 });
    const value = Buffer.alloc(400);
    expect(bench.producer.append('orders', 0, 1, null, value)).toBe(true);
    expect(bench.producer.append('orders', 0, 1, null, value)).toBe(true);
    expect(bench.producer.append('orders', 0, 1, null, value)).toBe(false);
    let isDrained = false;
    void bench.producer.drained().then(() => (isDrained = true));
    await Promise.resolve();
    expect(isDrained).toBe(false);
    await bench.clock.advance(10);
    expect(isDrained).toBe(true);
    expect(bench.log.values.length).toBe(3);
  });

  it('waits lingerMs for a batch to fill, and no longer', async () => {
    const bench = await open({ lingerMs: 20 });
    bench.append('a');
    await bench.clock.advance(10);
    bench.append('b');
    await bench.clock.advance(9);
    expect(bench.arrived).toEqual([]);
    await bench.clock.advance(3);
    expect(bench.log.values).toEqual(['a', 'b']);
    expect(bench.arrived.length).toBe(1);
  });

  it('writes each acknowledged record once and in order, whatever breaks on the way', async () => {
    const failures: Step[] = [
      succeed,
      succeed,
      answerLost,
      cutAfterAppend,
      cutBefore,
      refuse(errorCodes.NOT_LEADER_OR_FOLLOWER),
      refuse(errorCodes.REQUEST_TIMED_OUT),
      refuse(errorCodes.INVALID_RECORD),
      (append) => (append(), 'cut'),
    ];
    for (let seed = 1; seed <= 60; seed++) {
      const bench = await open({ deliveryTimeoutMs: 10_000_000 }, seed);
      const random = new SeededRandom(seed);
      bench.latencyMs = random.below(60);
      const refused = new Set<string>();
      let last = '';
      for (let i = 0; i < 25; i++) {
        const step = failures[random.below(failures.length)]!;
        bench.steps.push(step);
        last = `${seed}/${i}`;
        bench.append(last);
        if (random.chance(0.6)) await bench.clock.advance(random.below(3) * 40);
      }
      // Failures are told one a flush: how many records they cost is seen in the log.
      for (let outcome: unknown = ''; outcome !== 'flushed';) {
        outcome = await bench.flush(10_000_000);
        expect(['flushed', 'INVALID_RECORD'], `seed ${seed}`).toContain(outcome);
        if (outcome !== 'flushed') refused.add(String(outcome));
      }
      const { values } = bench.log;
      const numbers = values.map((value) => Number(value.split('/')[1]));
      expect(numbers, `seed ${seed}: once, in order`).toEqual([...new Set(numbers)].sort((a, b) => a - b));
      expect(refused.size > 0 || numbers.length === 25, `seed ${seed}: all but what was refused`).toBe(true);
    }
  });
});
