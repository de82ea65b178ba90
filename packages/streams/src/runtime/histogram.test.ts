import { expect, it } from 'vitest';
import { Histogram } from './histogram.ts';

it('gives quantiles right to a fifth, from microseconds to a day', () => {
  for (const scaleMs of [0.1, 1, 50, 86_400_000 / 1000]) {
    const histogram = new Histogram();
    for (let i = 1; i <= 1000; i++) histogram.record(i * scaleMs);
    for (const quantile of [0.5, 0.9, 0.99, 1]) {
      const exact = quantile * 1000 * scaleMs;
      expect(histogram.quantileMs(quantile)).toBeGreaterThanOrEqual(exact * 0.99);
      expect(histogram.quantileMs(quantile)).toBeLessThanOrEqual(exact * 1.2);
    }
    expect(histogram.count).toBe(1000);
    expect(histogram.sumMs).toBeCloseTo(500_500 * scaleMs, 3);
  }
});

it('is 0 when empty, and takes what is negative or not a number as no time at all', () => {
  const histogram = new Histogram();
  expect(histogram.quantileMs(0.99)).toBe(0);
  histogram.record(-5);
  histogram.record(0);
  expect(histogram.quantileMs(0.99)).toBe(0.05);
  expect(histogram.sumMs).toBe(0);
});

it('forgets: after some halvings recent values outweigh many old ones', () => {
  const histogram = new Histogram();
  for (let i = 0; i < 1000; i++) histogram.record(1000);
  for (let i = 0; i < 8; i++) histogram.decay();
  for (let i = 0; i < 10; i++) histogram.record(1);
  expect(histogram.quantileMs(0.5)).toBeLessThan(1.2);
  for (let i = 0; i < 30; i++) histogram.decay();
  expect(histogram.quantileMs(0.5)).toBe(0);
  expect(histogram.count).toBe(1010);
});
