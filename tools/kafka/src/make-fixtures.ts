/**
 * Segments written by Apache Kafka itself, for tests of `packages/log` that need no Java:
 *
 *     npm run build && npm run fixtures -w @millrace/kafka
 *
 * Each folder of `packages/log/fixtures/kafka-VERSION/` is a partition as the broker left it, beside `records.json`: what
 * Kafka's own `kafka-dump-log` finds in it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '@millrace/client';
import { string, topic } from '@millrace/serde';
import { kafkaClassPath, kafkaVersion } from './distribution.ts';
import { dumpLog, recordsIn } from './dump-log.ts';
import { KafkaServer, kafkaTool } from './kafka-server.ts';

const target = fileURLToPath(new URL(`../../../packages/log/fixtures/kafka-${kafkaVersion}/`, import.meta.url));
const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;
const transactional = topic('transactions', { key: string, value: string });

const kafka = await KafkaServer.start({ 'log.cleaner.backoff.ms': 100, 'log.cleaner.min.cleanable.ratio': 0.01 });
try {
  for (const codec of codecs) {
    await createTopic(`codec-${codec}`);
    await javaProduce(
      `codec-${codec}`,
      codec,
      Array.from({ length: 50 }, (_, n) => `key ${n}:${codec} value ${n}`),
    );
  }
  await writeTransactions();
  await writeCompacted();
} finally {
  await kafka.stop({ remove: false });
}
rmSync(target, { recursive: true, force: true });
for (const name of readdirSync(kafka.dataDirectory)) {
  if (/^(codec-|transactions|compacted)/.test(name)) await keep(name);
}
rmSync(join(kafka.dataDirectory, '..'), { recursive: true });

/** By Kafka's Java client, whose codecs and framings are the ones to be read. */
async function javaProduce(name: string, codec: string, lines: readonly string[]): Promise<void> {
  const child = spawn(
    'java',
    [
      ...['-cp', await kafkaClassPath(), 'org.apache.kafka.tools.ConsoleProducer'],
      ...['--bootstrap-server', kafka.bootstrapServers, '--topic', name, '--compression-codec', codec],
      ...['--property', 'parse.key=true', '--property', 'key.separator=:'],
    ],
    { stdio: ['pipe', 'ignore', 'ignore'] },
  );
  child.stdin.end(`${lines.join('\n')}\n`);
  await once(child, 'exit');
}

/** Two committed transactions around an aborted one, each over records of its own. */
async function writeTransactions(): Promise<void> {
  await createTopic('transactions');
  await using client = await Client.connect(kafka.bootstrapServers);
  const producer = client.transactionalProducer({ transactionalId: 'fixture' });
  for (const name of ['first', 'aborted', 'second']) {
    await producer
      .transaction(async (transaction) => {
        await transaction.send(
          transactional,
          Array.from({ length: 5 }, (_, n) => ({ key: `${name} ${n}`, value: `${name} value ${n}` })),
        );
        if (name === 'aborted') throw new Error('abort');
      })
      .catch((error: Error) => {
        if (error.message !== 'abort') throw error;
      });
  }
}

/** Ten keys, overwritten and deleted, in segments that the log cleaner has been through. */
async function writeCompacted(): Promise<void> {
  await createTopic('compacted', ['cleanup.policy=compact', 'segment.ms=1', 'min.cleanable.dirty.ratio=0.01']);
  const compacted = topic('compacted', { key: string, value: string });
  await using client = await Client.connect(kafka.bootstrapServers);
  const producer = client.producer();
  for (let round = 0; round < 20; round++) {
    await producer.send(
      compacted,
      Array.from({ length: 10 }, (_, n) => ({ key: `key ${n}`, value: `round ${round} of ${n}` })),
    );
  }
  // The cleaner is done when few records are left: of 200, the last round and what is in the active segment.
  for (;;) {
    let count = 0;
    for await (const record of client.records(compacted, { to: 'end' })) count += record.offset >= 0 ? 1 : 0;
    if (count <= 20) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function createTopic(name: string, configs: readonly string[] = []): Promise<void> {
  await kafkaTool('org.apache.kafka.tools.TopicCommand', [
    ...['--bootstrap-server', kafka.bootstrapServers, '--create', '--topic', name, '--partitions', '1'],
    ...configs.flatMap((config) => ['--config', config]),
  ]);
}

async function keep(partition: string): Promise<void> {
  const from = join(kafka.dataDirectory, partition);
  const to = join(target, partition);
  mkdirSync(to, { recursive: true });
  const records = [];
  for (const name of readdirSync(from).toSorted()) {
    if (name.endsWith('.deleted')) continue;
    copyFileSync(join(from, name), join(to, name));
    if (name.endsWith('.log')) records.push(...recordsIn(await dumpLog([join(from, name)])));
  }
  writeFileSync(join(to, 'records.json'), `${JSON.stringify(records, null, 1)}\n`);
}
