import { expect, it } from 'vitest';
import { chaos } from './chaos.ts';

it('loses and doubles nothing while everything is killed in turn', { timeout: 180_000 }, async () => {
  const report = await chaos({ seconds: 20, killEveryMs: 2000 });
  expect(report.problems).toEqual([]);
  expect(report.entryCount).toBeGreaterThan(0);
  expect(report.plainCount).toBeGreaterThan(0);
});
