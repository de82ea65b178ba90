import { expect, it } from 'vitest';
import { chaos } from './chaos.ts';

it('loses and doubles nothing while everything is killed in turn', { timeout: 180_000 }, async () => {
  const report = await chaos({ seconds: 20, everyMs: 1000, rows: '20k' });
  expect(report.problems).toEqual([]);
  expect(report.counts['offsets of transactions']).toBeGreaterThan(0);
  expect(report.counts['plain records']).toBeGreaterThan(0);
});
