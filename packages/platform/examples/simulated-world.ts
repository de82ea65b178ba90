import { delay, type Clock } from '@millrace/platform';
import { SeededRandom, VirtualClock } from '@millrace/platform/simulated';

// Code that takes its clock instead of calling Date.now and setTimeout …
async function poll(clock: Clock, attempts: number): Promise<string[]> {
  const log: string[] = [];
  for (let attempt = 1; attempt <= attempts; attempt++) {
    log.push(`attempt ${attempt} at ${clock.now()} ms`);
    await delay(clock, 1000 * 2 ** attempt);
  }
  return log;
}

// … runs in no time, and the same each time: 62 seconds of backoff pass at once.
const clock = new VirtualClock();
const polling = poll(clock, 5);
await clock.advance(62_000);
console.log((await polling).join('\n'));

// A seed is a whole sequence: what it broke, it breaks again.
const random = new SeededRandom(8127);
console.log([random.below(100), random.below(100), random.below(100)].join(' '));
