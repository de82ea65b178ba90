import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { account, startService, type AccountEvent, type Balance, type Transfer } from '@millrace/bank';
import { Client } from '@millrace/client';
import { SeededRandom } from '@millrace/platform/simulated';
import getPort from 'get-port';
import { Redis } from 'ioredis';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { available } from './services/availability.ts';
import { startRedis, type RedisServer } from './services/redis.ts';
import { ServiceProcess } from './services/service-process.ts';

const accounts = ['a', 'b', 'c', 'd', 'e'];
const fundsCents = 10_000;
const cli = fileURLToPath(new URL('../../../packages/cli/bin/millrace.js', import.meta.url));
const main = fileURLToPath(new URL('../../../apps/bank/dist/main.js', import.meta.url));

/** The bank as it is while it runs; another after each restart. */
interface Running {
  readonly url: string;
  readonly brokerAddress: string;
  /** In order, or as a crash would. */
  end(): Promise<void>;
}

type Start = (dataDirectory: string, redisUrl: string) => Promise<Running>;

const inThisProcess: Start = async (dataDirectory, store) => {
  const service = await startService({ broker: undefined, dataDirectory, brokerPort: 0, store, httpPort: 0 });
  const { url, brokerAddress } = service;
  return { url, brokerAddress, end: async () => await service[Symbol.asyncDispose]() };
};

const asProcess: Start = async (dataDirectory, store) => {
  const args = [main, '--data', dataDirectory, '--store', store, '--broker-port', '0', '--port', '0'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const killAtExit = (): boolean => child.kill('SIGKILL');
  process.once('exit', killAtExit);
  const exited = once(child, 'exit').finally(() => process.off('exit', killAtExit));
  let said = '';
  for (;;) {
    const [chunk] = (await Promise.race([once(child.stdout, 'data'), exited])) as [unknown];
    if (!(chunk instanceof Buffer)) throw new Error(`the bank ended before it was open: ${String(chunk)}`);
    said += chunk.toString();
    const match = /^the bank is open at (\S+), its log at (\S+)\n/.exec(said);
    if (match === null) continue;
    const end = async (): Promise<void> => {
      child.kill('SIGKILL');
      await exited;
    };
    return { url: match[1]!, brokerAddress: match[2]!, end };
  }
};

describe.runIf(available('redis'))('the bank, with its state in Redis', () => {
  let server: RedisServer;
  let redis: Redis;
  let dataDirectory: string;
  let bank: Running;
  beforeEach(async () => {
    server = await startRedis();
    redis = new Redis(server.url, { maxRetriesPerRequest: null });
    dataDirectory = mkdtempSync(join(tmpdir(), 'millrace-bank-'));
  });
  afterEach(async () => {
    await bank.end();
    redis.disconnect();
    await server.stop();
    rmSync(dataDirectory, { recursive: true });
  });

  interface Answer {
    readonly status: number;
    readonly body: Record<string, unknown>;
  }

  /** As a client should: sent again, with the same key, until there is an answer. */
  async function post(path: string, body: object, key: string): Promise<Answer> {
    for (;;) {
      try {
        const response = await fetch(`${bank.url}${path}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'idempotency-key': key },
          body: JSON.stringify(body),
        });
        if (response.status < 500) return { status: response.status, body: (await response.json()) as Answer['body'] };
        await response.text();
      } catch (error) {
        // Nobody was there, or the connection broke: fetch says both with a TypeError.
        if (!(error instanceof TypeError)) throw error;
        await new Promise(setImmediate); // the restart goes on in this thread
      }
    }
  }

  async function get<T>(path: string): Promise<T> {
    const response = await fetch(`${bank.url}${path}`);
    const body = (await response.json()) as T;
    expect(response.status, `${path}: ${JSON.stringify(body)}`).toBe(200);
    return body;
  }

  async function ended(transferId: string): Promise<Transfer> {
    for (;;) {
      const response = await fetch(`${bank.url}/transfers/${encodeURIComponent(transferId)}`);
      const row = (await response.json()) as Transfer;
      if (response.status === 200 && row.status !== 'pending') return row;
    }
  }

  async function fund(): Promise<void> {
    for (const id of accounts) {
      expect(await post('/accounts', { id, owner: id }, `open-${id}`)).toMatchObject({ status: 201 });
      expect(await post(`/accounts/${id}/deposit`, { cents: fundsCents }, `fund-${id}`)).toMatchObject({ status: 200 });
    }
  }

  /** Clients side by side, each a transfer after the other. Gives the ids of those that were accepted. */
  async function transferAtRandom(
    seed: number,
    clientCount: number,
    transfersPerClient: number,
    answered: (count: number) => Promise<void>,
  ): Promise<string[]> {
    const random = new SeededRandom(seed);
    const pick = (count: number): number => Math.floor(random.next() * count);
    const accepted: string[] = [];
    let count = 0;
    await Promise.all(
      Array.from({ length: clientCount }, async (_, client) => {
        for (let n = 0; n < transfersPerClient; n++) {
          const to = pick(6) === 0 ? 'nobody' : accounts[pick(accounts.length)]!;
          const body = { from: accounts[pick(accounts.length)]!, to, cents: 1 + pick(5000) };
          const answer = await post('/transfers', body, `t-${client}-${n}`);
          if (answer.status === 202) accepted.push(String(answer.body['transferId']));
          else expect(answer).toMatchObject({ status: 409, body: { error: 'insufficient-funds' } });
          await answered(++count);
        }
      }),
    );
    return accepted;
  }

  /** All of the events, folded by hand: what both read models must show. */
  async function refolded(): Promise<{
    readonly balances: Map<string, Balance>;
    readonly transfers: Map<string, AccountEvent['type'][]>;
  }> {
    const balances = new Map<string, Balance>();
    const transfers = new Map<string, AccountEvent['type'][]>();
    await using client = await Client.connect(bank.brokerAddress);
    for await (const { key, value: event } of client.records(account.events, { from: 'earliest', to: 'end' })) {
      const before = balances.get(key) ?? { owner: '', cents: 0, movements: 0 };
      if (event.type === 'opened') balances.set(key, { ...before, owner: event.owner });
      else {
        const isOut = event.type === 'withdrawn' || event.type === 'transferSent';
        const cents = before.cents + (isOut ? -event.cents : event.cents);
        balances.set(key, { ...before, cents, movements: before.movements + 1 });
      }
      if ('transferId' in event) {
        transfers.set(event.transferId, [...(transfers.get(event.transferId) ?? []), event.type]);
      }
    }
    return { balances, transfers };
  }

  async function expectMoneyKept(accepted: readonly string[]): Promise<void> {
    const rows = new Map<string, Transfer>();
    for (const id of accepted) rows.set(id, await ended(id));
    // A last command of each account: the answer at its position shows all that came before.
    const shown = new Map<string, Balance>();
    for (const id of accounts) {
      const { body } = await post(`/accounts/${id}/deposit`, { cents: 1 }, `last-${id}`);
      shown.set(id, await get<Balance>(`/accounts/${id}?after=${String(body['position'])}`));
    }
    const sumCents = [...shown.values()].reduce((sum, { cents }) => sum + cents, 0);
    expect(sumCents).toBe(accounts.length * (fundsCents + 1));

    const { balances, transfers } = await refolded();
    expect(shown).toEqual(balances);
    // Each was sent once, and then received or given back, once.
    expect([...transfers.keys()].toSorted()).toEqual(accepted.toSorted());
    const outcomeOf = { completed: 'transferReceived', refunded: 'transferRefunded', pending: '' } as const;
    for (const [id, { to, status }] of rows) {
      expect(status, id).toBe(to === 'nobody' ? 'refunded' : 'completed');
      expect(transfers.get(id)!.toSorted(), id).toEqual([outcomeOf[status], 'transferSent'].toSorted());
    }
  }

  it('keeps every cent through restarts and losses of Redis, while clients retry', { timeout: 120_000 }, async () => {
    bank = await inThisProcess(dataDirectory, server.url);
    await fund();
    const accepted = await transferAtRandom(1, 6, 40, async (count) => {
      if (count % 60 === 20) await redis.flushall();
      if (count === 70 || count === 150) {
        await bank.end();
        if (count === 150) await redis.flushall();
        bank = await inThisProcess(dataDirectory, server.url);
      }
    });
    expect(accepted.length).toBeGreaterThan(50);
    await expectMoneyKept(accepted);
  });

  it('keeps every cent through kill -9 in the middle of transfers', { timeout: 120_000 }, async () => {
    bank = await asProcess(dataDirectory, server.url);
    await fund();
    const downMs: number[] = [];
    const accepted = await transferAtRandom(2, 6, 40, async (count) => {
      if (count !== 60 && count !== 120 && count !== 180) return;
      const killedAt = performance.now();
      await bank.end();
      if (count === 120) await redis.flushall();
      bank = await asProcess(dataDirectory, server.url);
      downMs.push(performance.now() - killedAt);
    });
    expect(accepted.length).toBeGreaterThan(50);
    await expectMoneyKept(accepted);
    // No restart waits for a session (45 s) or a transaction (60 s) of the process that was killed.
    expect(Math.max(...downMs)).toBeLessThan(20_000);
  });

  it.each(['memory', 'Redis'])(
    'keeps every cent, with its state in %s, when a broker of its own process is killed under it',
    { timeout: 120_000 },
    async (store) => {
      const start = (port: number): Promise<ServiceProcess> =>
        ServiceProcess.start({
          command: process.execPath,
          args: [cli, 'broker', '--data', dataDirectory, '--port', String(port)],
          readyWhen: /listening on/,
        });
      const port = await getPort({ host: '127.0.0.1' });
      let broker = await start(port);
      try {
        const brokerAddress = `127.0.0.1:${port}`;
        const service = await startService({
          broker: brokerAddress,
          dataDirectory,
          brokerPort: 0,
          store: store === 'memory' ? store : server.url,
          httpPort: 0,
        });
        bank = { url: service.url, brokerAddress, end: async () => await service[Symbol.asyncDispose]() };
        await fund();
        const downMs: number[] = [];
        const accepted = await transferAtRandom(3, 6, 20, async (count) => {
          if (count !== 40 && count !== 80) return;
          const killedAt = performance.now();
          await broker.end('SIGKILL');
          broker = await start(port);
          // Until the bank says yes or no again.
          expect(await post('/transfers', { from: 'nobody', to: 'a', cents: 1 }, `no-${count}`)).toMatchObject({
            status: 404,
          });
          downMs.push(performance.now() - killedAt);
        });
        expect(accepted.length).toBeGreaterThan(20);
        await expectMoneyKept(accepted);
        expect(Math.max(...downMs)).toBeLessThan(20_000);
        await bank.end();
      } finally {
        await broker.end('SIGKILL');
      }
    },
  );
});
