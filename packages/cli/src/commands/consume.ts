import { Client, type ConsumerRecord } from '@millrace/client';
import { bytes, nullable, topic } from '@millrace/serde';
import { clusterOf, type ClusterFlags } from '../cluster.ts';
import { UsageError } from '../errors.ts';
import { timeOf } from '../time-of.ts';

interface Options extends ClusterFlags {
  readonly json?: boolean;
  readonly from: string;
  readonly group?: string;
  readonly max?: number;
  readonly exit?: boolean;
  readonly format: string;
  readonly uncommitted?: boolean;
}

type Incoming = ConsumerRecord<Uint8Array | null, Uint8Array | null>;

/** Prints records until Ctrl-C, the end (`--exit`) or the count (`--max`). A group is left, not timed out. */
export async function consume(names: readonly string[], options: Options): Promise<void> {
  const from = options.from === 'earliest' || options.from === 'latest' ? options.from : timeOf(options.from, '--from');
  if (options.group !== undefined) {
    if (options.exit) throw new UsageError('--exit reads without a group: leave out --group, or stop with --max');
    if (typeof from !== 'string') throw new UsageError('A group begins where it was: move it with `group reset --to`');
  }
  const stopping = new AbortController();
  process.once('SIGINT', () => stopping.abort()).once('SIGTERM', () => stopping.abort());
  const contracts = names.map((name) => topic(name, { key: nullable(bytes), value: nullable(bytes) }));
  const isolationLevel = options.uncommitted ? 'read_uncommitted' : 'read_committed';
  const { signal } = stopping;
  await using client = await Client.connect(clusterOf(options));

  let count = 0;
  if (options.group !== undefined) {
    await using consumer = client.consumer({
      groupId: options.group,
      topics: contracts,
      autoOffsetReset: from === 'latest' ? 'latest' : 'earliest',
      isolationLevel,
      signal,
    });
    for await (const record of consumer) {
      print(record, options);
      if (++count === options.max) {
        await consumer.commit(record); // leaving the loop would not say that the last one is done
        return;
      }
    }
    return;
  }
  const to = options.exit ? ('end' as const) : undefined;
  await Promise.all(
    contracts.map(async (contract) => {
      for await (const record of client.records(contract, { from, to, isolationLevel, signal })) {
        if (options.max !== undefined && count >= options.max) return;
        print(record, options);
        if (++count === options.max) stopping.abort();
      }
    }),
  );
}

function print(record: Incoming, options: Options): void {
  process.stdout.write(options.json ? `${json(record)}\n` : `${formatted(record, options.format)}\n`);
}

function json(record: Incoming): string {
  return JSON.stringify({
    topic: record.topic,
    partition: record.partition,
    offset: record.offset,
    timestampMs: record.timestampMs,
    key: text(record.key),
    value: text(record.value),
    headers: Object.fromEntries([...record.headers].map(([name, value]) => [name, text(value)])),
  });
}

function formatted(record: Incoming, format: string): string {
  const fields: Readonly<Record<string, () => string>> = {
    t: () => record.topic,
    p: () => String(record.partition),
    o: () => String(record.offset),
    T: () => String(record.timestampMs),
    k: () => text(record.key) ?? '',
    s: () => text(record.value) ?? '',
    '%': () => '%',
  };
  return format
    .replaceAll('\\n', '\n')
    .replaceAll('\\t', '\t')
    .replaceAll(/%([tpoTks%])/g, (_, name: string) => fields[name]!());
}

function text(value: Uint8Array | null): string | null {
  return value === null ? null : Buffer.from(value).toString();
}
