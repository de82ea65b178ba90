import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { TestDriver } from '@millrace/streams/testing';
import { expect, it } from 'vitest';
import { counts, lines, topology } from '../examples/word-count.mjs';

const pathOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

async function millrace(args: readonly string[], input?: string): Promise<string> {
  const running = promisify(execFile)(process.execPath, [pathOf('../bin/millrace.js'), ...args]);
  if (input !== undefined) running.child.stdin!.end(input);
  return (await running).stdout;
}

it('examples/word-count.mjs counts words', () => {
  using driver = new TestDriver(topology);
  driver.pipeInput(lines, { value: 'the quick brown fox' }, { value: 'the lazy dog' });
  expect(driver.readRecords(counts).map(({ key, value }) => `${key} ${value}`)).toEqual([
    'the 1',
    'quick 1',
    'brown 1',
    'fox 1',
    'the 2',
    'lazy 1',
    'dog 1',
  ]);
});

it('examples/word-count.mjs runs by the command line, between lines that are produced and counts that are consumed', async () => {
  await using broker = await Broker.open({ data: 'memory', listen: { port: 0 } });
  const at = ['--broker', broker.address!];
  await millrace(['topic', 'create', 'lines', '--partitions', '2', ...at]);
  await millrace(['topic', 'create', 'word-counts', ...at]);
  const run = spawn(
    process.execPath,
    [pathOf('../bin/millrace.js'), 'run', pathOf('../examples/word-count.mjs'), ...at],
    {
      stdio: 'ignore',
    },
  );
  const ended = once(run, 'exit');
  try {
    await millrace(['produce', 'lines', ...at], 'the quick brown fox\nthe lazy dog\n');
    // In one commit or in several, these are the last counts.
    const last = new Map<string, string>();
    await using client = await Client.connect(broker);
    for await (const { key, value } of client.records(counts)) {
      last.set(key, value);
      if (last.size === 6 && last.get('the') === '2') break;
    }
    const shown = await millrace(['consume', 'word-counts', '--from', 'earliest', '--exit', '-f', '%k %s', ...at]);
    expect(shown.split('\n')).toEqual(
      expect.arrayContaining(['the 2', 'quick 1', 'brown 1', 'fox 1', 'lazy 1', 'dog 1']),
    );
  } finally {
    run.kill('SIGTERM');
  }
  expect(await ended).toEqual([0, null]);
});

it('examples/orders.mjs sends orders and reads them', async () => {
  await using broker = await Broker.open({ data: 'memory', listen: { port: 0 } });
  const { stdout } = await promisify(execFile)(process.execPath, [pathOf('../examples/orders.mjs'), broker.address!]);
  expect(stdout.trimEnd().split('\n').toSorted()).toEqual([
    'ada: o-1, 1200 cents (partition 2, offset 0)',
    'bob: o-2, 800 cents (partition 0, offset 0)',
  ]);
});
