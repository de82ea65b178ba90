import { readFileSync } from 'node:fs';
import { expect, it, vi } from 'vitest';

it("runs the README's example", async () => {
  const lines: string[] = [];
  vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line));
  await import('../examples/append-and-read.ts');
  vi.restoreAllMocks();
  expect(lines).toEqual(['offsets 0 to 1, high watermark 2', '@0 {"total":12}', '@1 {"total":7}', 'leader epoch 1']);
});

it('is the one that the README shows', () => {
  const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
  expect(read('../README.md')).toContain(`\`\`\`ts\n${read('../examples/append-and-read.ts')}\`\`\``);
});
