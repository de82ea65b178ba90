import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { systemClock } from '@millrace/platform';
import { apis } from '@millrace/protocol';
import { afterEach, expect, it } from 'vitest';
import { Broker } from './broker.ts';
import { batchOf, valuesOf } from './testing/batches.ts';
import { RawClient } from './testing/raw-client.ts';

const directories: string[] = [];

function temporaryDirectory(): string {
  const directory = mkdtempSync(`${tmpdir()}/millrace-broker-`);
  directories.push(directory);
  return directory;
}

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true });
});

it('answers over TCP what was produced, and again after it was closed and opened', async () => {
  const data = temporaryDirectory();
  const timestampMs = systemClock().now();
  for (const expected of [['a'], ['a', 'a']]) {
    await using broker = await Broker.open({ data, listen: { port: 0 } });
    await using client = await RawClient.connect(broker.address);
    const { brokers, clusterId } = await client.request(apis.metadata, 9, { topics: [{ name: 'orders' }] });
    expect(brokers.map(({ host, port }) => `${host}:${port}`)).toEqual([broker.address]);
    expect(clusterId).toBe(broker.clusterId);

    const produced = await client.request(apis.produce, 9, {
      acks: -1,
      timeoutMs: 1000,
      topicData: [{ name: 'orders', partitionData: [{ index: 0, records: batchOf([{ value: 'a', timestampMs }]) }] }],
    });
    expect(produced.responses[0]?.partitionResponses[0]).toMatchObject({
      errorCode: 0,
      baseOffset: expected.length - 1,
      logAppendTimeMs: -1,
    });

    const fetched = await client.request(apis.fetch, 12, {
      maxWaitMs: 1000,
      minBytes: 1,
      topics: [{ topic: 'orders', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000_000 }] }],
    });
    const partition = fetched.responses[0]?.partitions[0];
    expect(partition).toMatchObject({ errorCode: 0, highWatermark: expected.length, logStartOffset: 0 });
    expect(valuesOf(partition?.records ?? null).map(([, value]) => value)).toEqual(expected);
  }
});
