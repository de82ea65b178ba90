import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { Client } from '@millrace/client';
import { string, topic } from '@millrace/serde';
import { describe, expect, it } from 'vitest';
import { available } from '../services/availability.ts';
import { startTestBroker, type TestBroker } from './broker.ts';

/** kcat is librdkafka: what holds here holds for its clients in C, C++, Python, Go, .NET, Rust. */
describe.runIf(available('kcat'))('kcat', { timeout: 60_000 }, () => {
  const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;

  it.each(codecs)('produces and consumes what it compressed with %s', async (codec) => {
    await using broker = await startTestBroker();
    const lines = Array.from({ length: 500 }, (_, n) => `k${n % 7}:value ${n} ${'x'.repeat(n % 100)}`);
    await produce(broker, ['-t', 'codec', '-K:', '-z', codec], lines);
    const consumed = await kcat(broker, ['-C', '-t', 'codec', '-e', '-q', '-f', '%k:%s\\n']);
    expect(consumed.trimEnd().split('\n')).toEqual(lines);
  });

  it.each(codecs)('reads what our client compressed with %s, and the other way round', async (codec) => {
    await using broker = await startTestBroker();
    await using client = await Client.connect(broker.address);
    const lines = Array.from({ length: 500 }, (_, n) => `value ${n} ${'x'.repeat(n % 100)}`);
    const [ours, theirs] = [topic('ours', { value: string }), topic('theirs', { value: string })];
    await using producer = client.producer({ compressionType: codec, lingerMs: 100 });
    await producer.send(
      ours,
      lines.map((value) => ({ value })),
    );
    expect((await kcat(broker, ['-C', '-t', 'ours', '-e', '-q'])).trimEnd().split('\n')).toEqual(lines);
    await produce(broker, ['-t', 'theirs', '-z', codec], lines);
    const read = [];
    for await (const { value } of client.records(theirs, { to: 'end' })) read.push(value);
    expect(read).toEqual(lines);
  });

  it('sees topics, partitions and their leader', async () => {
    await using broker = await startTestBroker({ 'num.partitions': 3 });
    await produce(broker, ['-t', 'seen'], ['x']);
    const metadata = JSON.parse(await kcat(broker, ['-L', '-J'])) as {
      readonly brokers: readonly { readonly name: string }[];
      readonly topics: readonly {
        readonly topic: string;
        readonly partitions: readonly { readonly leader: number }[];
      }[];
    };
    expect(metadata.brokers.map(({ name }) => name)).toEqual([broker.address]);
    const topic = metadata.topics.find((one) => one.topic === 'seen')!;
    expect(topic.partitions.map(({ leader }) => leader)).toEqual([1, 1, 1]);
  });

  it('seeks by offset, from the end and by time', async () => {
    await using broker = await startTestBroker();
    await produce(broker, ['-t', 'seek'], ['a', 'b', 'c', 'd', 'e']);
    const consume = (from: string): Promise<string> => kcat(broker, ['-C', '-t', 'seek', '-e', '-q', '-o', from]);
    expect(await consume('2')).toBe('c\nd\ne\n');
    expect(await consume('-2')).toBe('d\ne\n');
    const times = (await kcat(broker, ['-C', '-t', 'seek', '-e', '-q', '-f', '%T\\n'])).trim().split('\n').map(Number);
    expect(await consume(`s@${times[0]}`)).toBe('a\nb\nc\nd\ne\n');
    expect(await consume(`s@${times.at(-1)! + 60_000}`)).toBe('');
  });

  it('keeps headers, keys, tombstones and timestamps', async () => {
    await using broker = await startTestBroker();
    await produce(broker, ['-t', 'whole', '-K:', '-Z', '-H', 'trace=abc', '-H', 'n=1'], ['key:value', 'gone:']);
    const consumed = await kcat(broker, ['-C', '-t', 'whole', '-e', '-q', '-J']);
    const records = consumed
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(records.map(({ key, payload, headers, offset }) => ({ key, payload, headers, offset }))).toEqual([
      { key: 'key', payload: 'value', headers: ['trace', 'abc', 'n', '1'], offset: 0 },
      { key: 'gone', payload: null, headers: ['trace', 'abc', 'n', '1'], offset: 1 },
    ]);
  });

  it('joins a group, commits, and goes on there', async () => {
    await using broker = await startTestBroker({ 'num.partitions': 2 });
    await produce(broker, ['-t', 'grouped', '-K:'], ['a:1', 'b:2', 'c:3', 'd:4']);
    const member = (count: number): Promise<string> =>
      kcat(broker, ['-G', 'readers', '-c', String(count), '-q', '-X', 'auto.offset.reset=earliest', 'grouped']);
    const first = (await member(3)).trim().split('\n');
    const rest = (await member(1)).trim().split('\n');
    expect([...first, ...rest].toSorted()).toEqual(['1', '2', '3', '4']);
  });

  it('writes in transactions, and read_committed shows the committed ones', async () => {
    await using broker = await startTestBroker();
    await produce(
      broker,
      ['-t', 'tx', '-X', 'transactional.id=kcat', '-X', 'message.timeout.ms=10000'],
      ['one', 'two'],
    );
    expect(await kcat(broker, ['-C', '-t', 'tx', '-e', '-q', '-X', 'isolation.level=read_committed'])).toBe(
      'one\ntwo\n',
    );
  });

  it('produces idempotently', async () => {
    await using broker = await startTestBroker();
    const lines = Array.from({ length: 2000 }, (_, n) => String(n));
    await produce(broker, ['-t', 'once', '-X', 'enable.idempotence=true', '-X', 'batch.num.messages=50'], lines);
    expect((await kcat(broker, ['-C', '-t', 'once', '-e', '-q'])).trim().split('\n')).toEqual(lines);
  });
});

async function kcat(broker: TestBroker, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('kcat', ['-b', broker.address, ...args], { maxBuffer: 16 << 20 });
  return stdout;
}

async function produce(broker: TestBroker, args: readonly string[], lines: readonly string[]): Promise<void> {
  const child = spawn('kcat', ['-b', broker.address, '-P', ...args], { stdio: ['pipe', 'ignore', 'pipe'] });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (complaint += chunk));
  child.stdin.end(`${lines.join('\n')}\n`);
  const code = await new Promise((resolve) => child.once('close', resolve));
  if (code !== 0) throw new Error(`kcat ended with ${String(code)}: ${complaint}`);
}
