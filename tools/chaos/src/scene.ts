import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@millrace/client';
import getPort from 'get-port';
import { Supervised, spawnScript } from './supervised.ts';
import { sleep } from './waiting.ts';

/** Something that is done to one of those on the scene. False: it could not be done just now. */
export interface Blow {
  readonly name: string;
  /** Done this many times as often as one of weight 1. */
  readonly weight: number;
  strike(): boolean | Promise<boolean>;
}

/** What was done, and what it showed. */
export interface ChaosReport {
  readonly blows: Readonly<Record<string, number>>;
  /** How often each process ended by itself, and the last it said. */
  readonly ownEnds: Readonly<Record<string, { readonly count: number; readonly last: string }>>;
  /** How much was checked. */
  readonly counts: Readonly<Record<string, number>>;
  /** What was lost, doubled, out of order or wrong. Empty: nothing. */
  readonly problems: readonly string[];
}

/** A broker on a real disk, in a process of its own that is started again whenever it dies, and the processes around it. */
export class Scene implements AsyncDisposable {
  readonly directory: string;
  readonly address: string;
  readonly broker: Supervised;
  readonly #all: Supervised[];

  private constructor(directory: string, address: string) {
    this.directory = directory;
    this.address = address;
    const port = address.split(':')[1]!;
    this.broker = new Supervised('broker', () =>
      spawnScript('packages/cli/bin/millrace.js', ['broker', '--data', join(directory, 'data'), '--port', port]),
    );
    this.#all = [this.broker];
  }

  static async open(): Promise<Scene> {
    return new Scene(
      mkdtempSync(join(tmpdir(), 'millrace-chaos-')),
      `127.0.0.1:${await getPort({ host: '127.0.0.1' })}`,
    );
  }

  add(one: Supervised): Supervised {
    this.#all.push(one);
    return one;
  }

  /** The broker may just be starting: asks until it answers, for half a minute at most. */
  async connect(): Promise<Client> {
    const untilMs = performance.now() + 30_000;
    for (;;) {
      try {
        return await Client.connect(this.address, { clientId: 'chaos' });
      } catch (error) {
        if (performance.now() > untilMs) throw error;
        await sleep(100);
      }
    }
  }

  /** In a report's form. A broker that ends by itself is a problem whatever else is right. */
  ownEnds(): ChaosReport['ownEnds'] {
    return Object.fromEntries(
      this.#all
        .filter(({ errors }) => errors.length > 0)
        .map(({ name, errors }) => [name, { count: errors.length, last: errors.at(-1)! }]),
    );
  }

  brokerProblems(): readonly string[] {
    return this.broker.errors.map((error) => `the broker ended by itself: ${error}`);
  }

  /** Ends all processes, the broker last, and removes the data. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.#all.toReversed()) await one.destroy();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** `kill -9` of a process, for the list of blows. */
export function killing(victim: Supervised, weight = 1): Blow {
  return { name: `kill -9 ${victim.name}`, weight, strike: () => victim.kill() };
}

/** SIGSTOP of a process for longer than its session lasts, then SIGCONT. */
export function pausing(victim: Supervised, forMs: number, weight = 1): Blow {
  return { name: `pause ${victim.name}`, weight, strike: () => victim.pause(forMs) };
}

/**
 * One blow about every `everyMs`, for so many seconds. Each round deals every blow as often as its weight says, in an order of
 * its own: in a run that is long enough nobody is spared.
 */
export async function strikeAll(
  blows: readonly Blow[],
  options: {
    readonly seconds: number;
    readonly everyMs: number;
    readonly onBlow?: ((name: string) => void) | undefined;
  },
): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = Object.fromEntries(blows.map(({ name }) => [name, 0]));
  const untilMs = performance.now() + options.seconds * 1000;
  let round: Blow[] = [];
  for (;;) {
    const waitMs = options.everyMs * (0.5 + Math.random());
    if (performance.now() + waitMs > untilMs) break;
    await sleep(waitMs);
    if (round.length === 0) round = shuffled(blows.flatMap((blow) => Array.from({ length: blow.weight }, () => blow)));
    const blow = round.pop()!;
    if (!(await blow.strike())) continue;
    counts[blow.name]!++;
    options.onBlow?.(blow.name);
  }
  return counts;
}

function shuffled<T>(items: readonly T[]): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [result[i], result[j]] = [result[j]!, result[i]!];
  }
  return result;
}
