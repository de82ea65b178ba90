/** `npm run fuzz -- [--frames N] [--seed N]` */
import { parseArgs } from 'node:util';
import { fuzz, maxResidentBytes } from './fuzz.ts';

const { values } = parseArgs({
  options: {
    frames: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: String(Date.now() % 1e6) },
  },
});
const seed = Number(values.seed);
console.log(`seed ${seed}; the broker may take ${Math.round(maxResidentBytes / 2 ** 20)} MiB`);
const report = await fuzz({
  frames: Number(values.frames),
  seed,
  patienceMs: 5000,
  onRound: (line) => console.log(line),
});
const { frames, seconds, handled, problems } = report;
console.log(
  `${frames.toLocaleString('en-US')} frames in ${seconds.toFixed(0)} s (${Math.round(frames / seconds).toLocaleString('en-US')}/s), ` +
    `${handled.toLocaleString('en-US')} of them handled`,
);
for (const problem of problems) console.error(`WRONG: ${problem}`);
console.log(problems.length === 0 ? 'the broker held, and its data is intact' : 'FAILED');
process.exitCode = problems.length === 0 ? 0 : 1;
