import { BrokerUnderTest } from './broker-under-test.ts';
import { violations, type LogRecord } from './check.ts';
import { countInPipeline } from './sessions/count-in-pipeline.ts';
import { produce } from './sessions/produce.ts';
import { readInGroup } from './sessions/read-in-group.ts';
import { abortOpenTransaction, transact } from './sessions/transact.ts';
import { updateKeys } from './sessions/update-keys.ts';
import { counts, plain, topics, transactional } from './topics.ts';
import { World } from './world.ts';

export interface SimulationResult {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly events: Readonly<Record<string, number>>;
  readonly sentCount: number;
  readonly acknowledgedCount: number;
  readonly virtualMs: number;
  /** A hash of everything that was sent, told and read: the same for the same seed. */
  readonly fingerprint: string;
}

/** Virtual time after which whatever still waits is taken for a hang. */
const patienceMs = 600_000;

/**
 * One run: a broker on a disk that tears and forgets, clients and a pipeline over a network that delays and cuts, a clock that
 * only this loop turns; faults at random; then everything is healed and the log is held against what the clients were told.
 */
export async function simulate(seed: number): Promise<SimulationResult> {
  const world = new World(seed);
  const broker = new BrokerUnderTest(world);
  const outcome = await turnClockUntil(world, script(world, broker));
  return {
    seed,
    violations: [
      ...(outcome instanceof Error ? [outcome.stack ?? outcome.message] : violations(world.history, outcome)),
      ...broker.complaints,
    ],
    events: world.events,
    sentCount: world.history.sent.length,
    acknowledgedCount: world.history.sent.filter(({ outcome }) => outcome === 'acknowledged').length,
    virtualMs: world.clock.monotonic(),
    fingerprint: fingerprint(JSON.stringify([world.history, outcome])),
  };
}

/** An error: the script's own, or that it hangs. */
async function turnClockUntil<T>({ clock }: World, script: Promise<T>): Promise<T | Error> {
  let outcome: { readonly value: T | Error } | undefined;
  script.then(
    (value) => (outcome = { value }),
    (error: unknown) => (outcome = { value: error as Error }),
  );
  while (outcome === undefined) {
    if (clock.monotonic() > patienceMs) return new Error(`hangs: nothing ended in ${patienceMs} virtual ms`);
    if (!(await clock.step()) && outcome === undefined) return new Error('hangs: nothing is left that could happen');
  }
  return outcome.value;
}

async function script(world: World, broker: BrokerUnderTest): Promise<readonly LogRecord[]> {
  await broker.start();
  await world.asClient(async (client) => client.admin.createTopics(topics));
  const over = new AbortController();
  const allCounted = new AbortController();
  const work = [
    world.untilAborted(over.signal, (n) => produce(world, `a${n}`, over.signal)),
    world.untilAborted(over.signal, (n) => produce(world, `b${n}`, over.signal)),
    world.untilAborted(over.signal, (n) => transact(world, `t${n}`, over.signal)),
    world.untilAborted(over.signal, (n) => updateKeys(world, `c${n}`, over.signal)),
    world.untilAborted(over.signal, () => readInGroup(world, over.signal)),
    world.untilAborted(over.signal, () => readInGroup(world, over.signal)),
  ];
  const pipelines = [
    world.untilAborted(allCounted.signal, () => countInPipeline(world, allCounted.signal)),
    world.untilAborted(allCounted.signal, () => countInPipeline(world, allCounted.signal)),
  ];
  const faultCount = 3 + world.random.below(5);
  for (let i = 0; i < faultCount; i++) {
    await world.sleep(world.random.below(3000));
    await fault(world, broker);
  }
  await world.sleep(1000);
  over.abort();
  await Promise.all(work);
  await abortOpenTransaction(world);
  await untilAllIsCounted(world);
  allCounted.abort();
  await Promise.all(pipelines);
  // Once more from the disk alone, then everything is read.
  await broker.restart(() => world.files.losePower({ random: world.random }), 'power lost');
  return await readAll(world);
}

async function fault(world: World, broker: BrokerUnderTest): Promise<void> {
  const { random, network, files } = world;
  switch (random.below(7)) {
    case 0:
      return await broker.restart(() => files.losePower({ random }), 'power lost');
    case 1:
      return await broker.restart(() => files.killProcess(), 'broker killed');
    case 2:
      world.count('one connection cut');
      return network.cutOne();
    case 3:
      world.count('all connections cut');
      return network.cutAll();
    case 4:
      world.count('network partitioned');
      network.setPartitioned(true);
      await world.sleep(random.below(5000));
      return network.setPartitioned(false);
    default:
      world.count('client killed');
      return world.killOneClient();
  }
}

/** Or until it is too late to be still on its way: then the check says what is missing. */
async function untilAllIsCounted(world: World): Promise<void> {
  const inputs = (await readAll(world, [plain, transactional])).length;
  const lateMs = world.clock.monotonic() + 120_000;
  while (world.clock.monotonic() < lateMs) {
    const last = new Map((await readAll(world, [counts])).map(({ key, value }) => [key, Number(value)]));
    if ([...last.values()].reduce((sum, count) => sum + count, 0) >= inputs) return;
    await world.sleep(500);
  }
}

async function readAll(world: World, of: readonly (typeof topics)[number][] = topics): Promise<readonly LogRecord[]> {
  const records: LogRecord[] = [];
  await world.asClient(async (client) => {
    for (const one of of) {
      for await (const { topic, partition, offset, key, value } of client.records(one, { to: 'end' })) {
        records.push({ topic, partition, offset, key, value });
      }
    }
  });
  return records;
}

/** FNV-1a: to tell two runs apart, not to protect anything. */
function fingerprint(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, '0');
}
