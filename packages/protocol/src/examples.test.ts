import { readFileSync } from 'node:fs';
import { expect, it, vi } from 'vitest';

it("runs the README's example", async () => {
  const lines: string[] = [];
  vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line));
  await import('../examples/produce.ts');
  vi.restoreAllMocks();
  expect(lines[0]).toMatch(/^request: \d+ bytes in 3 parts$/);
  expect(lines.slice(1, 4)).toEqual([
    'api 0 version 9 of example',
    'orders-0 @0 alice: {"total":12} ',
    'orders-0 @1 bob: null reason=deleted',
  ]);
  expect(lines[4]).toMatch(/^response: \d+ bytes$/);
});

it('is the one that the README shows', () => {
  const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');
  expect(read('../README.md')).toContain(`\`\`\`ts\n${read('../examples/produce.ts')}\`\`\``);
});
