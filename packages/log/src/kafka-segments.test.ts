import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nodeFileSystem } from '@millrace/platform';
import { prepareCompression } from '@millrace/protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LogConfig } from './log-config.ts';
import { batch, LogHarness, readAll } from './testing/harness.ts';

/** Segments that Apache Kafka 4.4 wrote, and what its own kafka-dump-log finds in them (fixtures/README.md). */
const fixtures = fileURLToPath(new URL('../fixtures/kafka-4.4.0/', import.meta.url));
const partitions = ['codec-none', 'codec-gzip', 'codec-snappy', 'codec-lz4', 'codec-zstd', 'transactions', 'compacted'];

interface Expected {
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: string;
  readonly value: string;
}

describe.each(partitions)('the partition %s of Apache Kafka', (name) => {
  let directory: string;
  let expected: readonly Expected[];
  beforeEach(async () => {
    await prepareCompression('zstd');
    directory = mkdtempSync(join(tmpdir(), 'millrace-log-'));
    cpSync(join(fixtures, `${name}-0`), directory, { recursive: true });
    expected = JSON.parse(readFileSync(join(directory, 'records.json'), 'utf8')) as Expected[];
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const open = (): LogHarness => harnessAt(directory, name === 'compacted' ? { cleanupPolicy: 'compact' } : {});

  it.each([true, false])('is read record by record (closed cleanly: %s)', async (wasClosedCleanly) => {
    const harness = open();
    const log = await harness.open({ wasClosedCleanly });
    const found = (await readAll(log)).filter(({ isControl }) => !isControl);
    expect(found.map(({ offset, timestampMs, key, value }) => ({ offset, timestampMs, key, value }))).toEqual(expected);
    await harness.close(log);
  });

  it('goes on with what is appended here', async () => {
    const harness = open();
    const log = await harness.open({ wasClosedCleanly: true });
    const end = log.logEndOffset;
    const appending = harness.append(log, batch([{ key: 'ours', value: 'after Kafka’s' }]));
    expect(await appending).toBe(end);
    expect((await readAll(log, end)).map(({ offset, value }) => ({ offset, value }))).toEqual([
      { offset: end, value: 'after Kafka’s' },
    ]);
    await harness.close(log);
  });
});

it("knows which of Apache Kafka's transactions were aborted, from its index and without it", async () => {
  for (const withoutIndexes of [false, true]) {
    const directory = mkdtempSync(join(tmpdir(), 'millrace-log-'));
    cpSync(join(fixtures, 'transactions-0'), directory, { recursive: true });
    if (withoutIndexes) {
      for (const suffix of ['index', 'timeindex', 'txnindex'])
        rmSync(join(directory, `00000000000000000000.${suffix}`));
    }
    const harness = harnessAt(directory);
    const log = await harness.open({ wasClosedCleanly: !withoutIndexes });
    const { abortedTransactions } = await log.read(0, {
      maxBytes: 1 << 20,
      minOneBatch: true,
      isolation: 'read_committed',
    });
    // Five records and a marker each: the second transaction begins at offset 6.
    expect(abortedTransactions?.map(({ firstOffset }) => firstOffset)).toEqual([6]);
    await harness.close(log);
    rmSync(directory, { recursive: true });
  }
});

function harnessAt(directory: string, config: Partial<LogConfig> = {}): LogHarness {
  const metadata = readFileSync(join(directory, 'partition.metadata'), 'utf8');
  const topicId = /topic_id: (.*)/.exec(metadata)![1]!;
  return new LogHarness({ files: nodeFileSystem(), directory, topicId, config });
}
