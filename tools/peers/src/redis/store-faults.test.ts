import assert from 'node:assert/strict';
import { SeededRandom } from '@millrace/platform/simulated';
import { redis as redisBackend } from '@millrace/stores/redis';
import type { StateStoreBackend } from '@millrace/streams/state';
import { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { available } from '../services/availability.ts';
import { startRedis } from '../services/redis.ts';
import { startTcpProxy } from '../services/tcp-proxy.ts';
import { SimulatedLog } from './simulated-log.ts';
import { countOn, nameOf, Replaced, SimulatedOwner, type Input } from './simulated-owner.ts';
import { specOf } from './store-fixture.ts';

// Long runs: STORE_FAULT_INPUTS=200000 SEED=… npx vitest run --project @millrace/peers store-faults
const inputCount = Number(process.env['STORE_FAULT_INPUTS'] ?? 6000);
const seeds = process.env['SEED'] === undefined ? [1, 2] : [Number(process.env['SEED'])];

/** What goes wrong, and how often: the share of batches that it strikes. */
const faults = {
  flushAll: 0.01,
  evictHash: 0.02,
  failover: 0.02,
  restart: 0.003,
  scriptFlush: 0.03,
  lostReply: 0.01,
  cutConnections: 0.01,
  crashBeforeScript: 0.02,
  takeOver: 0.03,
} as const;
type Fault = keyof typeof faults;

describe.runIf(available('redis')).each(seeds)('a store in Redis under faults, SEED=%i', (seed) => {
  it.each(['keyValue', 'window'] as const)(
    'of kind %s gives every output right, and holds what the changelog says',
    async (kind) => {
      const random = new SeededRandom(seed);
      await using server = await startRedis();
      await using proxy = await startTcpProxy(server.port);
      const backend = redisBackend({ url: `redis://127.0.0.1:${proxy.port}` }) as StateStoreBackend;
      const direct = new Redis(server.url, { maxRetriesPerRequest: null });
      try {
        const inputs: Input[] = Array.from({ length: inputCount }, () => ({
          key: `k${random.below(300)}`,
          startMs: kind === 'window' ? random.below(5) * 1000 : 0,
        }));
        const log = new SimulatedLog();
        const struck: Partial<Record<Fault, number>> = {};
        const owners: SimulatedOwner[] = [];
        const appoint = async (): Promise<SimulatedOwner> => {
          const store = await backend.openStore(specOf('faults', kind === 'window' ? { kind, windowMs: 1000 } : {}));
          const owner = new SimulatedOwner(log, store, random);
          owners.push(owner);
          await owner.start();
          return owner;
        };

        // A replica that lags is a prefix: what all keys were at some moment before.
        let replica: { readonly key: string; readonly dump: Buffer }[] = [];
        const replicate = async (): Promise<void> => {
          const keys = await direct.keys('millrace:{*');
          if (keys.length === 0) return;
          const transaction = direct.multi();
          for (const key of keys) transaction.dumpBuffer(key);
          const dumps = ((await transaction.exec()) ?? []).map(([, dump]) => dump as Buffer | null);
          replica = keys.flatMap((key, i) => (dumps[i] ? [{ key, dump: dumps[i] }] : []));
        };
        const failOver = async (): Promise<void> => {
          const transaction = direct.multi().flushall();
          for (const { key, dump } of replica) transaction.restore(key, 0, dump);
          for (const [error] of (await transaction.exec()) ?? []) expect(error).toBeNull();
        };

        let owner = await appoint();
        let zombie: SimulatedOwner | undefined;
        while (log.inputOffset < inputs.length) {
          const from = log.inputOffset;
          const batch = inputs.slice(from, from + 1 + random.below(40));
          const until = from + batch.length;
          let dieAfterCommit = false;
          if (random.chance(0.05)) await replicate();
          for (const [fault, share] of Object.entries(faults) as [Fault, number][]) {
            if (!random.chance(share)) continue;
            struck[fault] = (struck[fault] ?? 0) + 1;
            if (fault === 'flushAll') void direct.flushall();
            else if (fault === 'failover') await failOver();
            else if (fault === 'restart') await server.restart();
            else if (fault === 'scriptFlush') void direct.script('FLUSH');
            else if (fault === 'lostReply') void proxy.cutNextReply();
            else if (fault === 'cutConnections') proxy.cut();
            else if (fault === 'crashBeforeScript') dieAfterCommit = true;
            else if (fault === 'evictHash') {
              const keys = await direct.keys('millrace:{*');
              if (keys.length > 0) void direct.del(keys[random.below(keys.length)]!);
            } else {
              zombie = owner;
              owner = await appoint();
            }
          }
          // A zombie does not know that it was replaced: it works on the same input, and must not get it committed.
          const contenders = zombie === undefined ? [owner] : [zombie, owner];
          for (const contender of contenders) {
            try {
              await contender.process(batch, until, dieAfterCommit && contender === owner);
            } catch (error) {
              if (!(error instanceof Replaced)) throw error;
              assert(contender === zombie, 'only a zombie is refused');
              zombie = undefined;
            }
          }
          if (dieAfterCommit) owner = await appoint();
        }

        const expected: string[] = [];
        const counts = new Map<string, number | null>();
        for (const input of inputs) {
          const { after, output } = countOn(counts.get(nameOf(input)) ?? null);
          counts.set(nameOf(input), after);
          expected.push(`${nameOf(input)}=${output}`);
        }
        expect(log.outputs).toEqual(expected);

        const last = await backend.openStore(specOf('faults', kind === 'window' ? { kind, windowMs: 1000 } : {}));
        await new SimulatedOwner(log, last, random).start();
        const rows = new Map<string, string>();
        await last.scan(({ startMs, key, value }) => {
          rows.set(`${startMs}/${Buffer.from(key).toString()}`, Buffer.from(value).toString());
        });
        expect(Object.fromEntries(rows)).toEqual(Object.fromEntries(log.fold()));

        // The faults did strike, and the checks did catch: else the run has shown nothing.
        const frequent = (Object.keys(faults) as Fault[]).filter((fault) => inputCount * faults[fault] > 60);
        for (const fault of frequent) expect(struck[fault], fault).toBeGreaterThan(0);
        expect(owners.reduce((sum, { staleReads }) => sum + staleReads, 0)).toBeGreaterThan(0);
        expect(owners.reduce((sum, { resets }) => sum + resets, 0)).toBeGreaterThan(1);
      } finally {
        direct.disconnect();
        await backend.close();
      }
    },
    60_000 + inputCount * 10,
  );
});
