/** `npm run chaos -- [--seconds N] [--kill-every MS]` */
import { parseArgs } from 'node:util';
import { chaos } from './chaos.ts';

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '60' }, 'kill-every': { type: 'string', default: '3000' } },
});
const report = await chaos({
  seconds: Number(values.seconds),
  killEveryMs: Number(values['kill-every']),
  onKill: (name) => console.log(`kill -9 ${name}`),
});
console.log(`${report.entryCount} offsets of transactions, ${report.plainCount} plain records`);
console.table(
  Object.fromEntries(
    Object.entries(report.kills).map(([name, kills]) => [name, { kills, 'own exits': report.exits[name] }]),
  ),
);
for (const problem of report.problems) console.error(`WRONG: ${problem}`);
console.log(report.problems.length === 0 ? 'nothing lost, nothing doubled, every result right' : 'FAILED');
process.exitCode = report.problems.length === 0 ? 0 : 1;
