import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { SeededRandom } from '@millrace/platform/simulated';
import getPort from 'get-port';
import { attacks, burst, type Attack, type Target } from './attacks.ts';
import { BrokerProcess } from './broker-process.ts';
import { HealthyClient } from './healthy-client.ts';

const mib = 1 << 20;

/** Limits small enough to be reached. The first three bound what clients can make the broker hold. */
const config = {
  'queued.max.request.bytes': 32 * mib,
  'millrace.queued.max.response.bytes': 64 * mib,
  'max.connections': 300,
  'socket.request.max.bytes': 8 * mib,
  'millrace.connection.max.in.flight.bytes': 8 * mib,
  'millrace.connection.max.queued.response.bytes': 16 * mib,
  'connection.failed.handshake.timeout.ms': 2000,
  'millrace.max.partitions': 200,
  'log.segment.bytes': 16 * mib,
  'log.retention.bytes': 32 * mib,
  'offsets.topic.num.partitions': 1,
  'transaction.state.log.num.partitions': 1,
};

/** The broker caches the ends of its logs, by default up to this. */
const tailCacheBytes = 64 * mib;
/** Node itself, our code, and garbage that is not collected yet. */
const processBytes = 256 * mib;

/** What the broker's process may take at most, whatever its clients do. */
export const maxResidentBytes: number =
  config['queued.max.request.bytes'] + config['millrace.queued.max.response.bytes'] + tailCacheBytes + processBytes;

/** Connections that send bursts side by side. */
const attackerCount = 32;
const largestBurst = 24;
const roundFrames = 50_000;

export interface FuzzOptions {
  readonly frames: number;
  readonly seed: number;
  /** How long a healthy client may wait for anything. */
  readonly patienceMs: number;
  readonly onRound?: ((line: string) => void) | undefined;
}

export interface FuzzReport {
  readonly frames: number;
  readonly seconds: number;
  readonly peakResidentBytes: number;
  /** The longest that the healthy client waited for anything, in ms. */
  readonly slowestMs: number;
  /** Requests that got as far as a handler. */
  readonly handled: number;
  readonly problems: readonly string[];
}

/** Frames at random against a broker in a process of its own, in rounds; in each, every kind of attack, and a healthy client. */
export async function fuzz({ frames, seed, patienceMs, onRound }: FuzzOptions): Promise<FuzzReport> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-fuzz-'));
  try {
    const configFile = join(directory, 'config.json');
    writeFileSync(configFile, JSON.stringify(config));
    const data = join(directory, 'data');
    const httpPort = await getPort({ host: '127.0.0.1' });
    await using broker = await BrokerProcess.start(
      `--data ${data} --port 0 --http-port ${httpPort} --config ${configFile} --log-level error`.split(' '),
    );
    await using healthy = await HealthyClient.connect(broker.address, patienceMs);
    const [host, port] = broker.address.split(':') as [string, string];
    const target: Target = {
      host,
      port: Number(port),
      maxConnections: config['max.connections'],
      maxFrameBytes: config['socket.request.max.bytes'],
      bulkTopic: healthy.bulkTopic,
    };
    const random = new SeededRandom(seed);
    const startedAtMs = performance.now();
    const problems: string[] = [];
    let sent = 0;
    const check = async (when: string): Promise<void> => {
      problems.push(...(await healthy.check(when)));
      const bytes = broker.peakResidentBytes;
      if (bytes > maxResidentBytes) problems.push(`${when}: the broker takes ${Math.round(bytes / mib)} MiB`);
      if (!broker.isRunning) problems.push(`${when}: the broker has ended: ${broker.stderr}`);
    };
    while (sent < frames && problems.length === 0) {
      const until = Math.min(frames, sent + roundFrames);
      let isRoundOver = false;
      const attackers = Array.from({ length: attackerCount }, async () => {
        while (sent < until) {
          const count = Math.min(1 + random.below(largestBurst), until - sent);
          const turn = sent;
          sent += count;
          await burst(target, turn, count, random);
        }
      });
      const round = Promise.all(attackers).then(() => (isRoundOver = true));
      while (!isRoundOver && problems.length === 0) {
        await check('among frames');
        await pause(200);
      }
      await round;
      for (const attack of attacks) problems.push(...(await stand(attack, target, () => check(attack.name))));
      problems.push(...(await healthy.checkAll()));
      onRound?.(
        `${sent.toLocaleString('en-US')} frames, ${((performance.now() - startedAtMs) / 1000).toFixed(0)} s, ` +
          `${Math.round(broker.residentBytes / mib)} MiB (at most ${Math.round(broker.peakResidentBytes / mib)}), ` +
          `the healthy client waited ${healthy.slowestMs.toFixed(0)} ms at most: ${healthy.slowest}`,
      );
    }
    const handled = await handledRequests(httpPort);
    const peakResidentBytes = broker.peakResidentBytes;
    const errors = broker.stderr.split('\n').filter((line) => /"level":[56]0/.test(line));
    if (errors.length > 0)
      problems.push(`the broker says ${errors.length} errors of its own, the first is ${errors[0]}`);
    const { code, stderr } = await broker.end('SIGTERM');
    if (code !== 0) problems.push(`the broker ends with code ${code}: ${stderr}`);
    return {
      frames: sent,
      seconds: (performance.now() - startedAtMs) / 1000,
      peakResidentBytes,
      slowestMs: healthy.slowestMs,
      handled,
      problems,
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Lets an attack stand, checks meanwhile, and ends it. */
async function stand(attack: Attack, target: Target, check: () => Promise<void>): Promise<readonly string[]> {
  const sockets = await attack.begin(target);
  try {
    await check();
    const mustClose = attack.mustClose(target);
    const untilMs = performance.now() + 10_000;
    while (closedCount(sockets) < mustClose && performance.now() < untilMs) await pause(50);
    await check();
    const closed = closedCount(sockets);
    return closed < mustClose ? [`${attack.name}: ${closed} of ${mustClose} connections were closed`] : [];
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

function closedCount(sockets: readonly Socket[]): number {
  return sockets.reduce((count, socket) => count + (socket.closed ? 1 : 0), 0);
}

async function handledRequests(httpPort: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
  return [...text.matchAll(/^millrace_requests_total\{.*\} (\d+)$/gm)].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  );
}
