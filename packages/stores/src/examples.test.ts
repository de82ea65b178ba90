import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

// The example needs real services: it is run where those are started, beside the tests of other peers.
it('is the one that the README shows', () => {
  const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
  expect(read('../README.md')).toContain(`\`\`\`ts\n${read('../examples/loyalty.ts')}\`\`\``);
});
