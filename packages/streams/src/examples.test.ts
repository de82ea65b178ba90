import { afterEach, expect, it, vi } from 'vitest';

const lines: unknown[][] = [];
afterEach(() => {
  vi.restoreAllMocks();
  lines.length = 0;
});

async function outputOf(example: () => Promise<unknown>): Promise<unknown[][]> {
  vi.spyOn(console, 'log').mockImplementation((...line: unknown[]) => void lines.push(line));
  await example();
  return lines;
}

it('examples/word-count.ts counts words', async () => {
  expect(await outputOf(() => import('../examples/word-count.ts'))).toEqual([
    ['the', 1],
    ['quick', 1],
    ['brown', 1],
    ['fox', 1],
    ['the', 2],
    ['lazy', 1],
    ['dog', 1],
  ]);
});

it('examples/windows.ts gives each window once, whatever dies', async () => {
  expect(await outputOf(() => import('../examples/windows.ts'))).toEqual([
    ['live', { sales: 2, cents: 300, biggest: 200 }],
    ['final', [{ sales: 3, cents: 350, biggest: 200 }]],
    ['late', [{ shopId: 'zrh', cents: 999, soldAtMs: 30_000 }]],
  ]);
});

it('examples/reminders.ts reminds, and puts aside what fails', async () => {
  expect(await outputOf(() => import('../examples/reminders.ts'))).toEqual([
    [[{ items: ['a', 'b'], text: '2 warten' }]],
    ['reminders', 'an article without a number'],
  ]);
});
