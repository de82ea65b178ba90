import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { available, findCommand, notRun, whyNot, type Service } from './availability.ts';
import { startPostgres } from './postgres.ts';
import { startRedis } from './redis.ts';

describe.runIf(available('redis'))('startRedis', () => {
  it('gives an empty server of the asked config, which a restart empties again', async () => {
    await using server = await startRedis({ maxmemory: '20mb' });
    const redis = new Redis(server.url);
    try {
      expect(await redis.config('GET', 'maxmemory')).toEqual(['maxmemory', String(20 * 1024 * 1024)]);
      await redis.set('a', '1');
      expect(await redis.dbsize()).toBe(1);
      await server.restart();
      expect(await redis.dbsize()).toBe(0);
    } finally {
      redis.disconnect();
    }
  });

  it('starts several side by side', async () => {
    await using one = await startRedis();
    await using other = await startRedis();
    expect(one.port).not.toBe(other.port);
  });
});

describe.runIf(available('postgres'))('startPostgres', () => {
  it('keeps what was committed over a crash', async () => {
    await using server = await startPostgres();
    const query = async (text: string): Promise<unknown[]> => {
      const client = new pg.Client({ connectionString: server.url });
      await client.connect();
      try {
        return (await client.query(text)).rows;
      } finally {
        await client.end();
      }
    };
    await query('create table t (n int)');
    await query('insert into t values (7)');
    await server.restart();
    expect(await query('select n from t')).toEqual([{ n: 7 }]);
  });
});

it('reports exactly the services that are missing', () => {
  const known: readonly Service[] = ['redis', 'postgres', 'kcat'];
  for (const service of known) {
    const line = `not run: ${service} tests — ${whyNot(service)}`;
    expect(notRun().includes(line), service).toBe(!available(service));
  }
  const path = process.env['PATH'];
  process.env['PATH'] = '/nowhere';
  try {
    expect(findCommand('sh')).toBeUndefined();
    expect(notRun()).toContain('not run: redis tests — redis-server not found');
    expect(notRun()).toContain('not run: kcat tests — kcat not found');
  } finally {
    process.env['PATH'] = path;
  }
});

it('has an installer that does nothing and succeeds where it may not install', () => {
  const script = fileURLToPath(new URL('../../install-services.sh', import.meta.url));
  expect(execFileSync('/bin/sh', [script], { env: { PATH: '' }, encoding: 'utf8' })).toBe('');
});
