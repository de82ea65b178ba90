import { Client } from '@millrace/client';
import type { BenchOptions } from './broker-bench.ts';
import { startBroker } from './broker-process.ts';
import { runChild } from './child.ts';
import type { PipelineLoad } from './load/pipeline.child.ts';
import { countsOf, passing, spreadsOf, tickAt, ticks } from './load/ticks.ts';
import type { Figure } from './report.ts';

interface Measured {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly count: number;
}

/** Pipelines over a topic filled before; broker and pipeline have a process each. Rates are per second of the pipeline's CPU. */
export async function benchStreams(options: BenchOptions): Promise<readonly Figure[]> {
  const count = options.isSmoke ? 20_000 : 1_000_000;
  const rates = new Map<string, number[]>();
  for (let run = 1; run <= options.runs; run++) {
    await using broker = await startBroker();
    await fill(broker.address, count);
    const cases: readonly Pick<PipelineLoad, 'pipeline' | 'guarantee'>[] = [
      { pipeline: 'stateless', guarantee: 'at_least_once' },
      { pipeline: 'stateless', guarantee: 'exactly_once_v2' },
      { pipeline: 'windowed count', guarantee: 'at_least_once' },
      { pipeline: 'windowed count', guarantee: 'exactly_once_v2' },
      { pipeline: 'stateless by kafkajs', guarantee: 'at_least_once' },
    ];
    for (const [index, { pipeline, guarantee }] of cases.entries()) {
      const name = `${pipeline}, ${guarantee}`;
      options.onStep?.(`run ${run} of ${options.runs}: ${name}`);
      const applicationId = `bench-${index}`;
      const result = await runChild<Measured>('#pipeline', {
        address: broker.address,
        pipeline,
        guarantee,
        applicationId,
        count,
      } satisfies PipelineLoad);
      const counted = await resultsOf(broker.address, pipeline, applicationId);
      if (counted !== passing(count)) {
        throw new Error(`${name}: results of ${counted} records, not of ${passing(count)}`);
      }
      rates.set(name, [...(rates.get(name) ?? []), result.count / result.cpuSeconds]);
    }
  }
  const of = (name: string): number[] => rates.get(name)!;
  const unit = 'records/s/core';
  const kafkajs = { name: 'kafkajs loop', values: of('stateless by kafkajs, at_least_once') };
  return [
    {
      name: 'stateless, at least once',
      unit,
      values: of('stateless, at_least_once'),
      target: { value: 150_000 },
      peer: kafkajs,
    },
    {
      name: 'stateless, exactly once',
      unit,
      values: of('stateless, exactly_once_v2'),
      target: { value: 90_000 },
      peer: { name: 'at least once', values: of('stateless, at_least_once') },
    },
    {
      name: 'windowed count, at least once',
      unit,
      values: of('windowed count, at_least_once'),
      target: { value: 60_000 },
    },
    {
      name: 'windowed count, exactly once',
      unit,
      values: of('windowed count, exactly_once_v2'),
      target: { value: 36_000 },
      peer: { name: 'at least once', values: of('windowed count, at_least_once') },
    },
  ];
}

async function fill(address: string, count: number): Promise<void> {
  await using client = await Client.connect(address);
  await client.admin.createTopics([ticks]);
  const producer = client.producer();
  for (let first = 0; first < count; first += 5000) {
    const length = Math.min(5000, count - first);
    await producer.send(
      ticks,
      Array.from({ length }, (_, i) => tickAt(first + i)),
    );
  }
}

/** How many records the committed results stand for: a pipeline that lost some would be a fast one. */
async function resultsOf(address: string, pipeline: PipelineLoad['pipeline'], applicationId: string): Promise<number> {
  await using client = await Client.connect(address);
  let count = 0;
  if (pipeline === 'windowed count') {
    const last = new Map<string, number>();
    for await (const { key, value } of client.records(countsOf(applicationId), { to: 'end' }))
      last.set(key, value.count);
    for (const counted of last.values()) count += counted;
  } else {
    for await (const { value } of client.records(spreadsOf(applicationId), { to: 'end' })) {
      if (value.spread === 0.5) count++;
    }
  }
  return count;
}
