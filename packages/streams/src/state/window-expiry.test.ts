import { bytes, int64, nullable, string, topic } from '@millrace/serde';
import { expect, it } from 'vitest';
import { minutes, StreamsBuilder, tumbling } from '../index.ts';
import { TestDriver } from '../testing/index.ts';

const input = topic('input', { key: string, value: string });
const changelog = topic('expiry-counts-changelog', { key: nullable(bytes), value: nullable(bytes) });

function plan() {
  const builder = new StreamsBuilder('expiry');
  const counts = builder
    .stream(input)
    .groupByKey()
    .windowedBy(tumbling({ sizeMs: minutes(1), graceMs: 0 }))
    .count({ name: 'counts' });
  counts
    .final()
    .mapValues(Number)
    .to(topic('final', { key: counts.key, value: int64 }));
  return { topology: builder.build(), counts };
}

/** Key and start of what the changelog still holds once it is compacted. */
function compacted(driver: TestDriver): string[] {
  const last = new Map<string, Uint8Array | null>();
  for (const { key, value } of driver.readRecords(changelog)) last.set(Buffer.from(key!).toString('latin1'), value);
  return [...last]
    .filter(([key, value]) => value !== null && !key.startsWith('\0'))
    .map(([key]) => `${key.slice(0, -8)}@${Buffer.from(key.slice(-8), 'latin1').readBigInt64BE()}`);
}

it('deletes windows in the changelog when stream time has passed them, however long ago they are', () => {
  const { topology, counts } = plan();
  using driver = new TestDriver(topology, { autoCommit: false });
  driver.pipeInput(input, { key: 'a', value: 'x', timestampMs: 1 }, { key: 'b', value: 'x', timestampMs: 2 });
  driver.commit();
  // Of this window nothing was ever written: there is nothing to delete.
  driver.pipeInput(input, { key: 'a', value: 'x', timestampMs: minutes(1) });
  driver.pipeInput(input, { key: 'c', value: 'x', timestampMs: minutes(2) });
  driver.commit();
  expect(compacted(driver)).toEqual([`c@${minutes(2)}`]);
  driver.restart();
  expect([...driver.store(counts).fetchAll({ fromMs: 0, toMs: minutes(9) })].map(([{ key }]) => key)).toEqual(['c']);
});
