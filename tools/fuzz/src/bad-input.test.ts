/** `millrace broker` where the machine does not give what it needs: it says what is wrong, ends with code 1, and loses nothing. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@millrace/client';
import { json, string, topic, type Topic } from '@millrace/serde';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BrokerProcess, type Ending } from './broker-process.ts';

const orders: Topic<string, { n: number; filler: string }, 'orders'> = topic('orders', {
  key: string,
  value: json<{ n: number; filler: string }>(),
  numPartitions: 1,
});
const filler = 'x'.repeat(100_000);

// Processes start several times in each.
vi.setConfig({ testTimeout: 60_000 });

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-bad-input-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Produces one after another until the broker takes no more. Gives how many it has acknowledged. */
async function fill(client: Client, first: number): Promise<number> {
  await using producer = client.producer({ deliveryTimeoutMs: 2000, lingerMs: 0 });
  for (let n = first; ; n++) {
    try {
      await producer.send(orders, { key: 'k', value: { n, filler } });
    } catch {
      return n; // refused, or the broker has ended: which of the two is checked by how it ended
    }
  }
}

async function numbers(address: string): Promise<number[]> {
  await using client = await Client.connect(address);
  const seen: number[] = [];
  for await (const { value } of client.records(orders, { to: 'end' })) seen.push(value.n);
  return seen;
}

/** Everything acknowledged is there, once and in order, and it takes more. One more may be there that was not acknowledged. */
async function expectIntact(data: string, acknowledged: number): Promise<void> {
  await using broker = await BrokerProcess.start(['--data', data, '--port', '0']);
  const seen = await numbers(broker.address);
  expect(seen.length - acknowledged).toBeOneOf([0, 1]);
  expect(seen).toEqual(seen.map((_, n) => n));
  await using client = await Client.connect(broker.address);
  await client.producer().send(orders, { key: 'k', value: { n: seen.length, filler: '' } });
  expect(await numbers(broker.address)).toEqual([...seen, seen.length]);
  await client.close();
  expect(await broker.end('SIGTERM')).toMatchObject({ code: 0 }); // it may have told that it cut a torn batch
}

function expectOneLine(ending: Ending, pattern: RegExp): void {
  expect(ending.stderr.trimEnd().split('\n').at(-1)).toMatch(pattern);
  expect(ending.stderr, 'a stack is for bugs').not.toMatch(/\n\s+at /);
  expect(ending.code).toBe(1);
}

describe('a disk that is full', () => {
  it('ends the broker with an error; with room again, all that was acknowledged is there', async () => {
    // A limit on the size of a file: the same error path as no space, and no privilege is needed. In units of 512 or 1024 bytes.
    const limited = ['sh', '-c', 'ulimit -f 8192; exec "$@"', 'sh'];
    const data = join(directory, 'data');
    await using broker = await BrokerProcess.start(['--data', data, '--port', '0'], limited);
    let acknowledged: number;
    {
      await using client = await Client.connect(broker.address);
      await client.admin.createTopics([orders]);
      acknowledged = await fill(client, 0);
    }
    expect(acknowledged).toBeGreaterThan(10);
    expectOneLine(await broker.ended, /^KAFKA_STORAGE_ERROR: .*EFBIG/);
    await expectIntact(data, acknowledged);
  });

  it('is the same on a real file system without space', async ({ skip }) => {
    skip(!canMount(), whyNotMounted);
    const data = join(directory, 'small');
    mkdirSync(data);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', data]);
    try {
      let acknowledged: number;
      {
        await using broker = await BrokerProcess.start(['--data', data, '--port', '0']);
        await using client = await Client.connect(broker.address);
        await client.admin.createTopics([orders]);
        acknowledged = await fill(client, 0);
        expectOneLine(await broker.ended, /^KAFKA_STORAGE_ERROR: .*ENOSPC/);
      }
      // Still full: whether it can start or not, it loses nothing by trying.
      const again = BrokerProcess.spawn(['--data', data, '--port', '0']);
      await Promise.race([again.ended, new Promise((resolve) => setTimeout(resolve, 1500))]);
      await again.end('SIGKILL');
      execFileSync('mount', ['-o', 'remount,size=64m', data]);
      await expectIntact(data, acknowledged);
    } finally {
      execFileSync('umount', [data]);
    }
  });
});

describe('a directory that cannot be used', () => {
  it('because it is read-only: the broker says so, and starts when it is writable', async ({ skip }) => {
    skip(!canMount(), whyNotMounted);
    const data = join(directory, 'data');
    mkdirSync(data);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', data]);
    try {
      {
        await using broker = await BrokerProcess.start(['--data', data, '--port', '0']);
        await using client = await Client.connect(broker.address);
        await client.admin.createTopics([orders]);
        await client.producer().send(orders, { key: 'k', value: { n: 0, filler } });
        await client.close();
        await broker.end('SIGTERM');
      }
      execFileSync('mount', ['-o', 'remount,ro', data]);
      const ending = await BrokerProcess.spawn(['--data', data, '--port', '0']).ended;
      expectOneLine(ending, /^FILE_SYSTEM_ERROR: .*EROFS.*read-only/);
      execFileSync('mount', ['-o', 'remount,rw', data]);
      await expectIntact(data, 1);
    } finally {
      execFileSync('umount', [data]);
    }
  });

  it('because it is a file', async () => {
    const data = join(directory, 'file');
    writeFileSync(data, 'not ours');
    expectOneLine(
      await BrokerProcess.spawn(['--data', data, '--port', '0']).ended,
      /^FILE_SYSTEM_ERROR: .*EEXIST.*file/,
    );
  });

  it('because another broker has it: that one goes on undisturbed', async () => {
    const data = join(directory, 'data');
    await using first = await BrokerProcess.start(['--data', data, '--port', '0']);
    await using client = await Client.connect(first.address);
    await client.admin.createTopics([orders]);
    const producer = client.producer();
    await producer.send(orders, { key: 'k', value: { n: 0, filler } });
    expectOneLine(await BrokerProcess.spawn(['--data', data, '--port', '0']).ended, /^DATA_DIR_LOCKED: /);
    await producer.send(orders, { key: 'k', value: { n: 1, filler } });
    expect(await numbers(first.address)).toEqual([0, 1]);
    await client.close();
    expect(await first.end('SIGTERM')).toMatchObject({ code: 0, stderr: '' });
    await expectIntact(data, 2);
  });
});

it('says that a port is in use, and leaves the directory usable', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const data = join(directory, 'data');
  const ending = await BrokerProcess.spawn(['--data', data, '--port', String(port)]).ended;
  expectOneLine(ending, new RegExp(`^PORT_IN_USE: .*${port}`));
  server.close();
  await once(server, 'close');
  await using broker = await BrokerProcess.start(['--data', data, '--port', String(port)]);
  expect(broker.address).toBe(`127.0.0.1:${port}`);
});

it.each([
  ['{"log.retention.mz": 1}', /^UNKNOWN_CONFIG: .*log\.retention\.ms/],
  ['{"log.retention.ms": "soon"}', /^INVALID_CONFIG: .*log\.retention\.ms/],
  ['{', /Cannot read the configs/],
  ['[]', /must hold a JSON object/],
])('refuses the config file %s before it touches the directory', async (text, pattern) => {
  const file = join(directory, 'config.json');
  writeFileSync(file, text);
  const data = join(directory, 'data');
  expectOneLine(await BrokerProcess.spawn(['--data', data, '--port', '0', '--config', file]).ended, pattern);
  expect(existsSync(data) ? readdirSync(data) : []).toEqual([]);
});

/** Only root may, and not in every container. */
const whyNotMounted = 'mounting a file system takes root on Linux';

function canMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  const probe = mkdtempSync(join(tmpdir(), 'millrace-mount-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', probe], { stdio: 'ignore' });
    execFileSync('umount', [probe]);
    return true;
  } catch {
    return false;
  } finally {
    rmSync(probe, { recursive: true, force: true });
  }
}
