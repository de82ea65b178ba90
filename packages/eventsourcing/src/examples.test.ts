import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';

it("runs the README's example", async () => {
  const lines: unknown[][] = [];
  vi.spyOn(console, 'log').mockImplementation((...line: unknown[]) => void lines.push(line));
  await import('../examples/bank.ts');
  vi.restoreAllMocks();
  expect(lines).toEqual([
    ['accepted', 2, 2],
    ['insufficient-funds'],
    ['conflict', 2],
    [{ owner: 'Ada', cents: 500, movements: 1 }],
    ['accepted'],
  ]);
});

describe('the README', () => {
  const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
  it.each(['bank/account', 'bank/plan', 'bank'])('shows the example %s as it is', (name) => {
    expect(read('../README.md')).toContain(`\`\`\`ts\n${read(`../examples/${name}.ts`)}\`\`\``);
  });
});
