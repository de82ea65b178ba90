import { expect, it } from 'vitest';
import { fuzz } from './fuzz.ts';
import { callCount } from './requests.ts';

const frames = 20_000;

it('stays up, in time and within its memory under broken frames and every attack', { timeout: 180_000 }, async () => {
  const report = await fuzz({ frames, seed: 11, patienceMs: 15_000 });
  expect(report.problems).toEqual([]);
  expect(report.frames).toBe(frames);
  expect(callCount, 'every version of every API').toBeGreaterThan(150);
  expect(report.handled, 'many frames get as far as a handler').toBeGreaterThan(frames / 10);
});
