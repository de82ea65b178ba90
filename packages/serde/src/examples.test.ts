import { expect, it, vi } from 'vitest';

it('examples/contract.ts prints what its comments say', async () => {
  const lines: unknown[] = [];
  vi.spyOn(console, 'log').mockImplementation((line: unknown) => void lines.push(line));
  const example = (await import('../examples/contract.ts')) as { orders: { name: string } };
  vi.restoreAllMocks();
  expect(example.orders.name).toBe('orders');
  expect(lines).toEqual([{ id: 'o-1', cents: 1200 }, null, expect.stringContaining('cents: ')]);
});
