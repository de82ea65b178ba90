import { Broker } from '@millrace/broker';
import { Client, type Cluster } from '@millrace/client';
import { expect, it } from 'vitest';
import { createTopics, feedFlights } from './feed.ts';
import { FlightData } from './flight-data.ts';
import { flights } from './topics.ts';

const apiKeys = { Produce: 0, EndTxn: 26 } as const;

/** Connections of a process that is killed: from its second request of an API on, what it sends is under way until it is let arrive. */
class Dying {
  readonly #broker: Broker;
  readonly #underWay: (() => void)[] = [];
  readonly #apiKey: number;
  #requestCount = 0;
  #isDead = false;
  readonly #onHeld: () => void;
  /** Resolves when something is under way. */
  readonly held: Promise<void>;

  constructor(broker: Broker, apiKey: number) {
    this.#broker = broker;
    this.#apiKey = apiKey;
    let onHeld = (): void => {};
    this.held = new Promise((resolve) => (onHeld = resolve));
    this.#onHeld = onHeld;
  }

  get cluster(): Cluster {
    return {
      dial: () => {
        const channel = this.#broker.dial();
        return {
          send: (frame) => this.#send(frame, () => channel.send(frame)),
          onFrame: (listener) => channel.onFrame(listener),
          onClose: (listener) => channel.onClose(listener),
          close: () => channel.close(),
        };
      },
    };
  }

  /** What it had sent before it died arrives. */
  arrive(): void {
    this.#isDead = true;
    for (const send of this.#underWay.splice(0)) send();
  }

  #send(frame: Uint8Array, send: () => void): void {
    if (this.#isDead) return;
    if (((frame[0]! << 8) | frame[1]!) === this.#apiKey) this.#requestCount++;
    if (this.#requestCount < 2) return send();
    this.#underWay.push(send);
    this.#onHeld();
  }
}

function feed(client: Client, data: FlightData, onProgress: (rowCount: number) => void = () => {}): Promise<void> {
  return feedFlights(client, data, { signal: new AbortController().signal, onProgress });
}

async function fed(client: Client): Promise<readonly string[]> {
  const rows: string[] = [];
  for await (const { value } of client.records(flights, { to: 'end' })) rows.push(JSON.stringify(value));
  return rows.toSorted();
}

it.each([
  ['a batch', apiKeys.Produce],
  ['a commit', apiKeys.EndTxn],
])(
  'feeds each flight once, though %s of a killed feed arrives after its successor has looked where to go on',
  async (_, apiKey) => {
    const data = await FlightData.read('20k');
    await using broker = await Broker.open({ data: 'memory' });
    await using client = await Client.connect(broker);
    await createTopics(client);

    const dying = new Dying(broker, apiKey);
    // What is left of it in this process waits so long for answers, at its end.
    const killed = await Client.connect(dying.cluster, { requestTimeoutMs: 2000 });
    const first = feed(killed, data).catch((error: unknown) => error);
    await dying.held;

    const progress: number[] = [];
    await feed(client, data, (rowCount) => {
      dying.arrive();
      progress.push(rowCount);
    });
    await killed.close();
    await first;
    expect(await fed(client)).toEqual(
      Array.from({ length: data.length }, (_, i) => JSON.stringify(data.at(i))).toSorted(),
    );
    // It went on behind what was committed, not from the start.
    expect(progress[0]).toBeGreaterThan(0);
    expect(progress.at(-1)).toBe(data.length);
  },
);

it('ends a feed that another has taken over from', async () => {
  const data = await FlightData.read('20k');
  await using broker = await Broker.open({ data: 'memory' });
  await using client = await Client.connect(broker);
  await createTopics(client);
  let second: Promise<void> | undefined;
  const first = feed(client, data, (rowCount) => {
    if (rowCount > 0) second ??= feed(client, data);
  });
  await expect(first).rejects.toMatchObject({ code: 'PRODUCER_FENCED' });
  await second;
  expect((await fed(client)).length).toBe(data.length);
});

it('refuses a topic that holds other data', async () => {
  const data = await FlightData.read('20k');
  await using broker = await Broker.open({ data: 'memory' });
  await using client = await Client.connect(broker);
  await createTopics(client);
  const flight = data.at(0);
  await client.producer().send(flights, { key: flight.origin, value: { ...flight, delay: 1 + flight.delay } });
  await expect(feed(client, data)).rejects.toMatchObject({
    name: 'MismatchedFeedError',
    message: expect.stringContaining('is not the row expected there'),
  });
});
