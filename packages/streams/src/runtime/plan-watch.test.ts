import { VirtualClock } from '@millrace/platform/simulated';
import { string, topic } from '@millrace/serde';
import { expect, it } from 'vitest';
import { StreamsBuilder } from '../index.ts';
import { planOf } from '../plan/topology.ts';
import type { StreamsCluster } from './cluster.ts';
import { encodeCommitMetadata } from './commit-metadata.ts';
import { PlanWatch } from './plan-watch.ts';

function watched() {
  const builder = new StreamsBuilder('app');
  builder.stream(topic('input', { value: string })).peek(() => {});
  const clock = new VirtualClock();
  const plan = planOf(builder.build());
  let planHash = plan.hash;
  const cluster = {
    committedOffsets: async () => {
      const metadata = { planHash, streamTimeMs: 0, committedAtMs: 0, epoch: 1, changelogEnds: undefined };
      return [{ topic: 'input', partition: 0, offset: 1, metadata: encodeCommitMetadata(metadata) }];
    },
  } as unknown as StreamsCluster;
  const failures: unknown[] = [];
  const watch = new PlanWatch(plan, 'app', clock);
  const start = (hasTasks = () => false) => watch.start(cluster, hasTasks, (error) => void failures.push(error));
  const pass = async (): Promise<void> => {
    await clock.advance(5_000);
    for (let i = 0; i < 10; i++) await Promise.resolve();
  };
  return { watch, start, pass, failures, change: () => (planHash = 'another') };
}

it('an instance without tasks hears of another plan of its group, also after it was stopped and started again', async () => {
  const { watch, start, pass, failures, change } = watched();
  start();
  await pass();
  watch.stop(); // its session has failed, and another one begins
  start();
  await pass();
  expect(failures).toEqual([]);
  change();
  await pass();
  expect(failures).toEqual([expect.objectContaining({ code: 'INCOMPATIBLE_PLAN' })]);
});

it('one that has got tasks, or was stopped, is not asked any more', async () => {
  const { watch, start, pass, failures, change } = watched();
  change();
  start(() => true);
  await pass();
  start();
  watch.stop();
  await pass();
  expect(failures).toEqual([]);
});
