import { parseArgs } from 'node:util';
import { whyNoKafka } from '@millrace/kafka';
import { benchBroker, type BenchOptions } from './broker-bench.ts';
import { benchClient } from './client-bench.ts';
import { machine } from './machine.ts';
import { report, type Figure } from './report.ts';
import { benchStreams } from './streams-bench.ts';

/** Where a run's words go. */
export interface Screen {
  line(text: string): void;
  error(text: string): void;
  /** What is measured now; undefined: nothing any more. */
  step(text: string | undefined): void;
}

const benches: Readonly<Record<string, (options: BenchOptions) => Promise<readonly Figure[]>>> = {
  broker: benchBroker,
  client: benchClient,
  streams: benchStreams,
};
const usage = `npm run bench -- [${Object.keys(benches).join('|')}]... [--runs N] [--no-kafka] [--smoke]`;

/** Runs the benchmarks named, all without a name. Gives the exit code. */
export async function run(args: readonly string[], screen: Screen): Promise<number> {
  let parsed;
  try {
    parsed = parse(args);
  } catch (error) {
    screen.error(`${(error as Error).message}\n${usage}`);
    return 2;
  }
  const { names, runs, isSmoke, withKafka } = parsed;
  screen.line(machine());
  const whyNot = withKafka && names.includes('broker') ? whyNoKafka() : undefined;
  if (whyNot !== undefined) screen.line(`no ratio to Apache Kafka: ${whyNot}`);
  for (const name of names) {
    screen.line(
      `\n${name}, medians of ${runs} ${runs === 1 ? 'run' : 'runs'}${isSmoke ? ', amounts too small to compare' : ''}`,
    );
    const figures = await benches[name]!({
      runs,
      isSmoke,
      withKafka: withKafka && whyNot === undefined,
      onStep: (step) => screen.step(`${name}, ${step}`),
    });
    screen.step(undefined);
    screen.line(report(figures));
  }
  return 0;
}

function parse(args: readonly string[]): {
  readonly names: readonly string[];
  readonly runs: number;
  readonly isSmoke: boolean;
  readonly withKafka: boolean;
} {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      runs: { type: 'string', default: '5' },
      smoke: { type: 'boolean', default: false },
      'no-kafka': { type: 'boolean', default: false },
    },
  });
  const unknown = positionals.filter((name) => !Object.hasOwn(benches, name));
  if (unknown.length > 0) throw new Error(`There is no benchmark '${unknown.join("', '")}'.`);
  if (!/^[1-9]\d{0,3}$/.test(values.runs)) throw new Error(`--runs takes a whole number from 1, not '${values.runs}'.`);
  return {
    names: positionals.length > 0 ? positionals : Object.keys(benches),
    runs: Number(values.runs),
    isSmoke: values.smoke,
    withKafka: !values['no-kafka'],
  };
}
