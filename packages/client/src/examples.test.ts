import { readFileSync } from 'node:fs';
import { expect, it, vi } from 'vitest';

it("runs the README's example", async () => {
  const lines: string[] = [];
  vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line));
  await import('../examples/orders.ts');
  vi.restoreAllMocks();
  expect(lines[0]).toBe('2 orders written');
  expect(lines.slice(1, 3).toSorted()).toEqual(['ada ordered o-1', 'bob ordered o-2']);
  expect(lines[3]).toBe('ledger: 2000 cents');
  expect(lines.slice(4, -1).every((line) => line === 'lag 0')).toBe(true);
  expect(lines.at(-1)).toMatch(/^Topic orders exists with 3 partitions, not 4\./);
});

it('is the one that the README shows', () => {
  const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
  expect(read('../README.md')).toContain(`\`\`\`ts\n${read('../examples/orders.ts')}\`\`\``);
});
