import { expect, it } from 'vitest';
import { hasCommand } from '../supervised.ts';
import { redisChaos } from './redis-chaos.ts';

it.runIf(hasCommand('redis-server'))(
  'counts each click once, while Redis, its owners and the broker are killed and Redis is emptied',
  { timeout: 240_000 },
  async () => {
    const report = await redisChaos({ seconds: 15, everyMs: 1000 });
    expect(report.problems).toEqual([]);
    expect(report.counts['clicks']).toBeGreaterThan(1000);
    expect(report.counts['closed seconds']).toBeGreaterThan(0);
  },
);
