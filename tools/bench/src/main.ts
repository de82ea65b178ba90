/** `npm run bench -- broker|client|streams [--runs N] [--no-kafka] [--smoke]` */
import { parseArgs } from 'node:util';
import { benchBroker, type BenchOptions } from './broker-bench.ts';
import { benchClient } from './client-bench.ts';
import { machine } from './machine.ts';
import { report, type Figure } from './report.ts';
import { benchStreams } from './streams-bench.ts';

const benches: Readonly<Record<string, (options: BenchOptions) => Promise<readonly Figure[]>>> = {
  broker: benchBroker,
  client: benchClient,
  streams: benchStreams,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '5' },
    smoke: { type: 'boolean', default: false },
    kafka: { type: 'boolean', default: true },
  },
  allowNegative: true,
});
const names = positionals.length > 0 ? positionals : Object.keys(benches);
const unknown = names.filter((name) => benches[name] === undefined);
if (unknown.length > 0) {
  console.error(`no such benchmark: ${unknown.join(', ')}. There are: ${Object.keys(benches).join(', ')}`);
  process.exitCode = 1;
} else {
  console.log(machine());
  for (const name of names) {
    const runs = Number(values.runs);
    console.log(`\n${name}, medians of ${runs} runs`);
    console.log(report(await benches[name]!({ runs, isSmoke: values.smoke, withKafka: values.kafka })));
  }
}
