import { Client } from '@millrace/client';
import type { Platform } from '@millrace/platform';
import { SeededRandom, SimulatedFileSystem, SimulatedNetwork, VirtualClock } from '@millrace/platform/simulated';
import { History } from './history.ts';
import { SimulatedProcess } from './simulated-process.ts';

export const brokerAddress = { host: 'broker', port: 9092 } as const;

/**
 * All that a seed decides: a disk that tears and forgets, a network that delays and cuts, a clock that only the simulation turns,
 * the processes of the clients, and what they were told.
 */
export class World {
  readonly random: SeededRandom;
  readonly clock: VirtualClock = new VirtualClock(Date.UTC(2026, 0, 1));
  readonly files: SimulatedFileSystem;
  readonly network: SimulatedNetwork;
  readonly history: History = new History();
  readonly events: Record<string, number> = {};
  readonly #clients = new Set<SimulatedProcess>();

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.files = new SimulatedFileSystem({ clock: this.clock, syncLatencyMs: 1 + this.random.below(10) });
    this.files.onOperation(({ kind, path }) => {
      if (kind === 'rename' && path.endsWith('.cleaned')) this.count('segments compacted');
    });
    this.network = new SimulatedNetwork({
      clock: this.clock,
      random: this.random,
      minLatencyMs: 0.1,
      maxLatencyMs: 1 + this.random.below(20),
    });
  }

  get platform(): Platform {
    return { clock: this.clock, random: this.random, files: this.files, network: this.network };
  }

  /** Work in a process of its own, which may be killed. @throws `Killed` */
  async inProcess(work: (platform: Platform) => Promise<void>): Promise<void> {
    const process = new SimulatedProcess(this.platform);
    this.#clients.add(process);
    try {
      await Promise.race([work(process.platform), process.killed]);
    } finally {
      this.#clients.delete(process);
    }
  }

  /** The same with a client, which is closed when its work ends. */
  async asClient(work: (client: Client) => Promise<void>): Promise<void> {
    await this.inProcess(async (platform) => {
      const client = await Client.connect(`${brokerAddress.host}:${brokerAddress.port}`, {
        platform,
        requestTimeoutMs: 5000,
      });
      try {
        await work(client);
      } finally {
        await client.close();
      }
    });
  }

  killOneClient(): void {
    const processes = [...this.#clients];
    processes[this.random.below(processes.length)]?.kill();
  }

  /** Sessions one after the other; one that fails is followed by another, as a supervisor would have it. */
  async untilAborted(signal: AbortSignal, session: (n: number) => Promise<void>): Promise<void> {
    for (let n = 0; !signal.aborted; n++) {
      try {
        await session(n);
      } catch {
        this.count('sessions failed');
      }
      await this.sleep(this.random.below(200));
    }
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.clock.after(ms, resolve));
  }

  count(event: string): void {
    this.events[event] = (this.events[event] ?? 0) + 1;
  }
}
