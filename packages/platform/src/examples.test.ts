import { expect, it, vi } from 'vitest';

it("runs the README's example", async () => {
  const lines: string[] = [];
  vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line));
  await import('../examples/simulated-world.ts');
  vi.restoreAllMocks();
  expect(lines[0]!.split('\n').at(-1)).toBe('attempt 5 at 30000 ms');
  expect(lines[1]).toBe('99 7 22');
});
