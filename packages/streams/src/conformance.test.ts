import { readFileSync } from 'node:fs';
import { Broker } from '@millrace/broker';
import { Client, type ConsumerRecord } from '@millrace/client';
import { json, nullable, string, topic, windowed, type Topic } from '@millrace/serde';
import { describe, expect, it } from 'vitest';
import {
  hopping,
  Streams,
  StreamsBuilder,
  type KStream,
  type StoredKTable,
  type Topology,
  type WindowedKTable,
} from './index.ts';
import { TestDriver } from './testing/index.ts';

/** Inputs and expected outputs of Apache Kafka Streams' own tests, as facts: see fixtures/README.md. */
interface Case {
  readonly id: string;
  readonly topology: any;
  readonly steps: readonly Step[];
}
type Step =
  | { readonly in: string; readonly key: unknown; readonly value: string | null; readonly ts: number }
  | { readonly expect: string; readonly mode?: string; readonly records: readonly Expected[] };
interface Expected {
  readonly key: unknown;
  readonly value: unknown;
  readonly ts: number;
}

function casesOf(file: string): readonly Case[] {
  const url = new URL(`../fixtures/${file}.json`, import.meta.url);
  return (JSON.parse(readFileSync(url, 'utf8')) as { cases: Case[] }).cases;
}

/** Keys and values of the cases are text, numbers, and null in either place. */
const anyTopic = <Name extends string>(name: Name): Topic<any, any, Name> =>
  topic(name, { key: nullable(json<any>()), value: nullable(json<any>()) });
const textTopic = <Name extends string>(name: Name): Topic<string, string | null, Name> =>
  topic(name, { key: string, value: nullable(string) });

/** What runs a plan: record by record, each with all that comes of it. */
interface Engine extends AsyncDisposable {
  pipeInput(to: Topic<any, any>, record: { key: unknown; value: unknown; timestampMs: number }): Promise<void>;
  /** What has come since the last read. */
  readRecords(from: Topic<any, any>): Promise<readonly ConsumerRecord<unknown, unknown>[]>;
}
type StartEngine = (topology: Topology, topics: readonly Topic<any, any>[]) => Promise<Engine>;

const startDriver: StartEngine = async (topology) => {
  const driver = new TestDriver(topology);
  return {
    pipeInput: async (to, record) => driver.pipeInput(to, record as never),
    readRecords: async (from) => driver.readRecords(from),
    [Symbol.asyncDispose]: async () => driver[Symbol.dispose](),
  };
};

/** The same plan as an app, exactly once, on a broker: every record waits until what came of the last one is committed. */
const startApp: StartEngine = async (topology, topics) => {
  const broker = await Broker.open({ data: 'memory' });
  const client = await Client.connect(broker);
  await client.admin.createTopics(topics.map(({ name }) => ({ name, numPartitions: 1 })));
  const app = Streams.start(topology, { cluster: broker, commit: 'eager' });
  await app.running;
  const readTo = new Map<string, number>();
  const inputs = new Set(topology.nodes.filter(({ kind }) => kind === 'source').map((node) => node.topic!));
  const settled = async (): Promise<void> => {
    for (;;) {
      const committed = await client.admin.listConsumerGroupOffsets(topology.applicationId);
      const lags = await Promise.all(
        [...inputs].map(async (name) => {
          const [end] = await client.admin.listOffsets(name, 'latest');
          const offset = committed.find((position) => position.topic === name)?.offset ?? 0;
          // What the app writes itself ends with the marker of its transaction.
          return end!.offset - offset - (name.endsWith('-repartition') && end!.offset > 0 ? 1 : 0);
        }),
      );
      if (lags.every((lag) => lag <= 0)) return;
      await Promise.race([app.done, new Promise((resolve) => setImmediate(resolve))]);
    }
  };
  return {
    async pipeInput(to, record) {
      await client.producer().send(to, record as never);
      await settled();
    },
    async readRecords(from) {
      const records: ConsumerRecord<unknown, unknown>[] = [];
      const offsets = { 0: readTo.get(from.name) ?? 0 };
      for await (const record of client.records(from, { from: { offsets }, to: 'end' })) records.push(record);
      if (records.length > 0) readTo.set(from.name, records.at(-1)!.offset + 1);
      return records;
    },
    async [Symbol.asyncDispose]() {
      await app.close();
      await client.close();
      await broker.close();
    },
  };
};

/** Runs a case: what came and what should have come, by step. Windowed keys are printed as the case does. */
async function run(
  start: StartEngine,
  { steps }: Case,
  topology: Topology,
  topics: Readonly<Record<string, Topic<any, any>>>,
): Promise<{ actual: unknown[]; expected: unknown[] }> {
  await using engine = await start(topology, Object.values(topics));
  const unread = new Map<string, Expected[]>();
  const all: { actual: unknown[]; expected: unknown[] } = { actual: [], expected: [] };
  for (const [index, step] of steps.entries()) {
    if ('in' in step) {
      await engine.pipeInput(topics[step.in]!, { key: step.key, value: step.value, timestampMs: step.ts });
      continue;
    }
    const read = (await engine.readRecords(topics[step.expect]!)).map(({ key, value, timestampMs }) => ({
      key,
      value,
      ts: timestampMs,
    }));
    const came = [...(unread.get(step.expect) ?? []), ...read];
    const count = step.mode === 'next' ? step.records.length : came.length;
    unread.set(step.expect, came.slice(count));
    const asPrinted = came
      .slice(0, count)
      .map((record) => ({ ...record, key: printed(record.key, step.records[0]?.key) }));
    all.actual.push([index, asPrinted]);
    all.expected.push([index, step.records]);
  }
  return all;
}

function printed(key: any, like: unknown): unknown {
  if (typeof key !== 'object' || key === null) return key;
  const { startMs, endMs } = key.window;
  return typeof like === 'string' ? `[${key.key}@${startMs}/${endMs}]` : { key: key.key, start: startMs, end: endMs };
}

const hasVersionedTable = ({ topology }: Case): boolean => topology.table === 'versioned';

it('leaves out only cases of what is absent: versioned tables and sliding windows', () => {
  const files = ['stream-table-join', 'stream-stream-join', 'table-aggregate', 'windowed-aggregate'];
  const leftOut = (one: Case): boolean => hasVersionedTable(one) || one.topology.window?.type === 'sliding';
  expect(files.map((file) => casesOf(file).filter((one) => !leftOut(one)).length)).toEqual([2, 8, 4, 6]);
});

describe.each([
  ['the test driver', startDriver],
  ['an app on a broker', startApp],
] as const)('by %s', (_, start) => {
  describe('stream-table join', () => {
    const [left, right, output] = [anyTopic('left'), anyTopic('right'), anyTopic('output')];
    it.each(casesOf('stream-table-join').filter((one) => !hasVersionedTable(one)))('$id', async (one) => {
      const builder = new StreamsBuilder('stream-table');
      const table = builder.table(right, { name: 'right' });
      const stream = builder.stream(left);
      const joiner = (l: string, r: string | undefined): string => `${l}-${r ?? 'null'}`;
      const joined = one.topology.join === 'inner' ? stream.join(table, joiner) : stream.leftJoin(table, joiner);
      joined.to(output);
      const { actual, expected } = await run(start, one, builder.build(), { left, right, output });
      expect(actual).toEqual(expected);
    });
  });

  describe('stream-stream join', () => {
    const [left, right, output] = [anyTopic('left'), anyTopic('right'), anyTopic('output')];
    const joiner = (l: string | undefined, r: string | undefined): string => `${l ?? 'null'}-${r ?? 'null'}`;
    const identity = (value: any, key: any): { key: any; value: any } => ({ key, value });

    it.each(casesOf('stream-stream-join'))('$id', async (one) => {
      const { before: beforeMs, after: afterMs, grace: graceMs } = one.topology.window;
      const options = (name: string) => ({ name, beforeMs, afterMs, graceMs });
      const builder = new StreamsBuilder('stream-stream');
      let leftStream: KStream<any, any> = builder.stream(left);
      let rightStream: KStream<any, any> = one.id.includes('SelfJoin') ? leftStream : builder.stream(right);
      if (one.id.includes('Repartitioned')) {
        const key = left.key;
        leftStream = leftStream.map(identity, { name: 'left-again', key });
        rightStream = rightStream
          .flatMap((value, k) => [identity(value, k)], { name: 'right-again', key })
          .selectKey((_, k) => k, { name: 'right-once-more', key });
      }
      const kind: string = one.topology.join;
      if (kind === 'inner') leftStream.join(rightStream, joiner, options('join')).to(output);
      else if (kind === 'left') leftStream.leftJoin(rightStream, joiner, options('join')).to(output);
      else if (kind === 'outer') leftStream.outerJoin(rightStream, joiner, options('join')).to(output);
      else leftStream.join(rightStream, joiner, options('one')).join(rightStream, joiner, options('two')).to(output);
      const { actual, expected } = await run(start, one, builder.build(), { left, right, output });
      expect(actual).toEqual(expected);
    });
  });

  describe('aggregate of a table', () => {
    const output = topic('output', { key: string, value: json<unknown>() });
    const groups: Readonly<Record<string, (value: string, key: string) => { key: any; value: any } | null>> = {
      identity: (value, key) => ({ key, value }),
      'key "null" -> (null,v); key "NULL" -> null pair; else (v,v)': (value, key) =>
        key === 'null' ? { key: null, value } : key === 'NULL' ? null : { key: value, value },
      '(v, v)': (value) => ({ key: value, value }),
      '(key[0], key[1])': (_, key) => ({ key: key[0], value: key[1] }),
    };

    it.each(casesOf('table-aggregate').filter((one) => !hasVersionedTable(one)))('$id', async (one) => {
      const input = textTopic((one.steps[0] as { readonly in: string }).in);
      const builder = new StreamsBuilder('table-aggregate');
      const grouped = builder
        .table(input, { name: 'table' })
        .groupBy((value, key) => groups[one.topology.groupBy]!(value, key), { name: 'by', key: string });
      const { aggregate } = one.topology;
      let table: StoredKTable<string, unknown>;
      if (aggregate === 'count') table = grouped.count({ name: 'n' });
      else if (aggregate.startsWith('init "0"')) {
        const subtract = (a: string, v: string): string => `${a}-${v}`;
        table = grouped.aggregate(
          () => '0',
          (a, v) => `${a}+${v}`,
          { name: 'n', subtract },
        );
      } else {
        const subtract = (a: string, v: string): string => a.replaceAll(v, '');
        table = grouped.aggregate(
          () => '',
          (a, v) => `${a}${v}`,
          { name: 'n', subtract },
        );
      }
      table.to(output);
      const { actual, expected } = await run(start, one, builder.build(), { [input.name]: input, output });
      expect(actual).toEqual(expected);
    });
  });

  describe('aggregate of a window', () => {
    const ours = casesOf('windowed-aggregate').filter(({ topology }) => topology.window.type === 'hopping');

    function windowTable(
      builder: StreamsBuilder,
      input: Topic<any, any>,
      name: string,
      one: Case,
    ): WindowedKTable<string, string> {
      const { size: sizeMs, advance: advanceMs, grace: graceMs } = one.topology.window;
      const initial = one.topology.aggregate.startsWith('init "0"') ? '0' : '';
      return builder
        .stream(input)
        .groupByKey()
        .windowedBy(hopping({ sizeMs, advanceMs, graceMs }))
        .aggregate(
          (): string => initial,
          (a, value) => `${a}+${value}`,
          { name, emit: 'update' },
        );
    }

    const isJoin = ({ topology }: Case): boolean => topology.processors !== undefined;
    const isFinal = ({ topology }: Case): boolean => topology.emit === 'final';
    const outputTopic = (one: Case, name: string): Topic<any, any> =>
      topic(name, { key: windowed(string, { sizeMs: one.topology.window.size }), value: json<string>() });
    const pass = (one: Case, table: WindowedKTable<string, string>, to: Topic<any, any>): void =>
      isFinal(one) ? table.final().to(to) : table.to(to);

    it.each(ours.filter((one) => !isJoin(one)))('$id', async (one) => {
      const builder = new StreamsBuilder('windows');
      const input = textTopic((one.steps[0] as { readonly in: string }).in);
      const output = outputTopic(one, 'output');
      pass(one, windowTable(builder, input, 'windows', one), output);
      const { actual, expected } = await run(start, one, builder.build(), { [input.name]: input, output });
      expect(actual).toEqual(expected);
    });

    it.each(ours.filter(isJoin))('$id', async (one) => {
      const builder = new StreamsBuilder('windows');
      const topics = {
        left: textTopic('left'),
        right: textTopic('right'),
        processor0: outputTopic(one, 'processor0'),
        processor1: outputTopic(one, 'processor1'),
        processor2: outputTopic(one, 'processor2'),
      };
      const left = windowTable(builder, topics.left, 'left', one);
      const right = windowTable(builder, topics.right, 'right', one);
      pass(one, left, topics.processor0);
      pass(one, right, topics.processor1);
      left.join(right, (l, r) => `${l}%${r}`).to(topics.processor2);
      // Final results are streams here, so a join of the two tables passes on updates, as in the other case.
      const steps = one.steps.filter((step) => !isFinal(one) || 'in' in step || step.expect !== 'processor2');
      const { actual, expected } = await run(start, { ...one, steps }, builder.build(), topics);
      expect(actual).toEqual(expected);
    });
  });
});
