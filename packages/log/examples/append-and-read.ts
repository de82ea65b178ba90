import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { defaultLogConfig, GroupCommit, PartitionLog, TailCache } from '@millrace/log';
import { nodeFileSystem, systemClock } from '@millrace/platform';
import { RecordBatchWriter, RecordReader } from '@millrace/protocol';

const data = mkdtempSync(`${tmpdir()}/millrace-log-`);
const clock = systemClock();
const open = (): Promise<PartitionLog> =>
  PartitionLog.open({
    topic: 'orders',
    partition: 0,
    directory: `${data}/orders-0`,
    topicId: 'AAAAAAAAAAAAAAAAAAAAAQ',
    files: nodeFileSystem(),
    clock,
    commits: new GroupCommit({ flush: 'commit', clock, onFailure: console.error }),
    config: defaultLogConfig,
    tailCache: new TailCache({ maxBytes: 64 * 1_048_576 }),
    wasClosedCleanly: false,
  });

// A batch, as a producer sends it.
const writer = new RecordBatchWriter();
writer.append(clock.now(), Buffer.from('alice'), Buffer.from('{"total":12}'));
writer.append(clock.now(), Buffer.from('bob'), Buffer.from('{"total":7}'));

const log = await open();
const { baseOffset, lastOffset, commit } = log.append(writer.close({}), 'client');
await commit.done; // on disk, and visible to consumers
console.log(`offsets ${baseOffset} to ${lastOffset}, high watermark ${log.highWatermark}`);

// The process may die here: the log recovers what was committed, under a new leader epoch.
const recovered = await open();
const { parts } = await recovered.read(1, { maxBytes: 1_048_576, minOneBatch: true, isolation: 'read_uncommitted' });
const reader = new RecordReader();
reader.reset(parts[0]!, 0); // the whole batch, although its first record was not asked for
while (reader.next()) console.log(`@${reader.offset} ${Buffer.from(reader.value!).toString()}`);
console.log(`leader epoch ${recovered.leaderEpoch}`);

await recovered.close();
await log.close();
rmSync(data, { recursive: true });
