import { Client } from '@millrace/client';
import { json, string, topic } from '@millrace/serde';
import type { BenchOptions } from './broker-bench.ts';
import { startBroker } from './broker-process.ts';
import { runChild } from './child.ts';
import type { PipelineLoad } from './load/pipeline.child.ts';
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
  for (let run = 0; run < options.runs; run++) {
    const broker = await startBroker();
    await fill(broker.address, count);
    const cases: readonly Pick<PipelineLoad, 'pipeline' | 'guarantee'>[] = [
      { pipeline: 'stateless', guarantee: 'at_least_once' },
      { pipeline: 'stateless', guarantee: 'exactly_once_v2' },
      { pipeline: 'windowed count', guarantee: 'at_least_once' },
      { pipeline: 'windowed count', guarantee: 'exactly_once_v2' },
      { pipeline: 'stateless by kafkajs', guarantee: 'at_least_once' },
    ];
    for (const [index, { pipeline, guarantee }] of cases.entries()) {
      const result = await runChild<Measured>('#pipeline', {
        address: broker.address,
        pipeline,
        guarantee,
        applicationId: `bench-${index}`,
        count,
      } satisfies PipelineLoad);
      const name = `${pipeline}, ${guarantee}`;
      rates.set(name, [...(rates.get(name) ?? []), result.count / result.cpuSeconds]);
    }
    await broker.stop();
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

const ticks = topic('ticks', {
  key: string,
  value: json<{ symbol: string; bid: number; ask: number; venue: string }>(),
  numPartitions: 4,
  config: { 'retention.ms': -1 },
});

/** 1,000 symbols, 60 a second each, a tenth of them out of order by up to five seconds. */
async function fill(address: string, count: number): Promise<void> {
  await using client = await Client.connect(address);
  await client.admin.createTopics([ticks]);
  const producer = client.producer();
  const startMs = Date.UTC(2026, 0, 1);
  for (let first = 0; first < count; first += 5000) {
    const records = [];
    for (let n = first; n < Math.min(first + 5000, count); n++) {
      const symbol = `SYM${(n * 7919) % 1000}`;
      const lagMs = n % 10 === 0 ? (n * 31) % 5000 : 0;
      records.push({
        key: symbol,
        value: { symbol, bid: 100 + (n % 50), ask: 100.5 + (n % 50), venue: n % 20 === 0 ? 'X' : 'NYSE' },
        timestampMs: startMs + Math.floor(n / 60) - lagMs + 5000,
      });
    }
    await producer.send(ticks, records);
  }
}
