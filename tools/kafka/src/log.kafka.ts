import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker } from '@millrace/broker';
import { Client } from '@millrace/client';
import { string, topic } from '@millrace/serde';
import { expect, it } from 'vitest';
import { dumpLog, recordsIn } from './dump-log.ts';

const records = topic('records', {
  key: string,
  value: string,
  numPartitions: 1,
  config: { 'segment.bytes': 1 << 20 },
});

/** Our files, read by Kafka's own tool: segments, all three indexes, producer snapshots, coordinators' records. */
it('writes files that kafka-dump-log reads and finds right', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-dump-'));
  const written: { key: string; value: string; timestampMs: number }[] = [];
  {
    await using broker = await Broker.open({ data: directory });
    await using client = await Client.connect(broker);
    await client.admin.createTopics([records]);
    const batch = (from: string, count: number): { key: string; value: string; timestampMs: number }[] =>
      Array.from({ length: count }, (_, n) => ({
        key: `${from}-${n}`,
        value: `value ${n} `.repeat(20),
        timestampMs: 1e12 + n,
      }));
    for (const compressionType of ['none', 'gzip', 'snappy', 'lz4'] as const) {
      const sent = batch(compressionType, 1000);
      await client.producer({ compressionType }).send(records, sent);
      written.push(...sent);
    }
    // Enough for a second segment, so that indexes have entries and a snapshot is taken.
    const producer = client.producer();
    for (let i = 0; i < 10; i++) {
      const sent = batch(`bulk${i}`, 1000);
      await producer.send(records, sent);
      written.push(...sent);
    }
    const transactional = client.transactionalProducer({ transactionalId: 'dumped' });
    const consumer = client.consumer({ groupId: 'dumped', topics: [records], enableAutoCommit: false });
    for await (const first of consumer.batches()) {
      await transactional.transaction(async (transaction) => {
        const sent = batch('committed', 10);
        await transaction.send(records, sent);
        transaction.sendOffsets(first);
        written.push(...sent);
      });
      break;
    }
    const aborted = batch('aborted', 10);
    written.push(...aborted); // they lie in the log all the same
    await expect(
      transactional.transaction(async (transaction) => {
        await transaction.send(records, aborted);
        throw new Error('abort');
      }),
    ).rejects.toThrow('abort');
  }

  const folder = join(directory, 'records-0');
  const files = readdirSync(folder);
  const segments = files.filter((name) => name.endsWith('.log'));
  expect(segments.length).toBeGreaterThan(1);
  const dumped = recordsIn(await dumpLog(segments.map((name) => join(folder, name))));
  expect(dumped.map(({ key, value, timestampMs }) => ({ key, value, timestampMs }))).toEqual(
    written.map(({ key, value, timestampMs }) => ({ key, value, timestampMs })),
  );
  // It compares indexes with their segments, and throws on a mismatch.
  const beside = await dumpLog(
    files.filter((file) => /\.(index|timeindex|txnindex|snapshot)$/.test(file)).map((file) => join(folder, file)),
  );
  expect(beside).toContain('firstOffset'); // of the aborted transaction
  expect(beside).toContain('producerId');

  const offsets = await dumpInternal(directory, '__consumer_offsets', '--offsets-decoder');
  expect(offsets).toContain('"group":"dumped"');
  const transactions = await dumpInternal(directory, '__transaction_state', '--transaction-log-decoder');
  expect(transactions).toContain('"transactionalId":"dumped"');
  rmSync(directory, { recursive: true });
});

function dumpInternal(directory: string, topicName: string, decoder: string): Promise<string> {
  const segments = readdirSync(directory)
    .filter((name) => name.startsWith(topicName))
    .flatMap((folder) => readdirSync(join(directory, folder)).map((name) => join(directory, folder, name)))
    .filter((name) => name.endsWith('.log'));
  return dumpLog(segments, [decoder]);
}
