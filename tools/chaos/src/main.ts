/** `npm run chaos -- [--seconds N] [--every MS] [--rows 20k|3m] [--redis]` */
import { parseArgs } from 'node:util';
import { chaos } from './chaos.ts';
import { redisChaos } from './redis/redis-chaos.ts';
import type { ChaosReport } from './scene.ts';
import { hasCommand } from './supervised.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    every: { type: 'string', default: '2000' },
    rows: { type: 'string', default: '20k' },
    redis: { type: 'boolean', default: false },
  },
});
// The processes on the scene end with this one.
process.once('SIGINT', () => process.exit(130)).once('SIGTERM', () => process.exit(143));
const startedAtMs = performance.now();
const options = {
  seconds: Number(values.seconds),
  everyMs: Number(values.every),
  onBlow: (name: string) =>
    console.log(`${((performance.now() - startedAtMs) / 1000).toFixed(1).padStart(6)} s  ${name}`),
};
if (values.redis && !hasCommand('redis-server')) {
  console.error('redis-server is not installed here.');
  process.exit(1);
}
const report = values.redis
  ? await redisChaos(options)
  : await chaos({ ...options, rows: values.rows === '3m' ? '3m' : '20k' });
print(report);
process.exitCode = report.problems.length === 0 ? 0 : 1;

function print({ blows, ownEnds, counts, problems }: ChaosReport): void {
  console.log();
  for (const [name, count] of Object.entries(blows)) console.log(`${String(count).padStart(9)}  ${name}`);
  for (const [name, { count, last }] of Object.entries(ownEnds)) {
    console.log(`${String(count).padStart(9)}  ${name} ended by itself, last: ${last}`);
  }
  console.log();
  for (const [name, count] of Object.entries(counts)) {
    console.log(`${count.toLocaleString('en-US').padStart(9)}  ${name} checked`);
  }
  for (const problem of problems) console.error(`WRONG: ${problem}`);
  console.log(problems.length === 0 ? '\nnothing lost, nothing doubled, every result right' : '\nFAILED');
}
