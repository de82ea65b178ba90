/** `npm run simulate -- --seeds N [--from SEED] | --seed SEED`: a broker and its clients in a simulated world. */
import { parseArgs } from 'node:util';
import { simulate, type SimulationResult } from './simulation.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
  },
});
const first = Number(values.seed ?? values.from);
const count = values.seed === undefined ? Number(values.seeds) : 1;
const startedMs = performance.now();
const failed: SimulationResult[] = [];
const events: Record<string, number> = {};
let acknowledged = 0;
for (let seed = first; seed < first + count; seed++) {
  const result = await simulate(seed);
  acknowledged += result.acknowledgedCount;
  for (const [name, times] of Object.entries(result.events)) events[name] = (events[name] ?? 0) + times;
  if (result.violations.length > 0) {
    failed.push(result);
    console.error(`seed ${seed}: ${result.violations.slice(0, 5).join('\n  ')}`);
    console.error(`  again: npm run simulate -- --seed ${seed}`);
  }
  if (values.seed !== undefined) console.log(result);
}
const seconds = (performance.now() - startedMs) / 1000;
console.table(events);
console.log(
  `${count} seeds in ${seconds.toFixed(1)} s (${Math.round((count * 60) / seconds)} a minute), ` +
    `${acknowledged} records acknowledged, ${failed.length} seeds with violations`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
