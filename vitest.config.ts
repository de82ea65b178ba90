import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { defineConfig } from 'vitest/config';
import type { Reporter } from 'vitest/node';
import { notRun } from './tools/peers/src/services/availability.ts';

/** Ends the run with what could not be tested here and why, and a last line `N passed, N failed` for people and CI to read. */
const closingLine: Reporter = {
  onTestRunEnd(modules, errors) {
    const count = { passed: 0, failed: errors.length, skipped: 0, pending: 0 };
    const skippedWithNote: string[] = [];
    for (const module of modules) {
      count.failed += module.errors().length;
      for (const test of module.children.allTests()) {
        const result = test.result();
        count[result.state]++;
        if (result.state === 'skipped' && result.note)
          skippedWithNote.push(`not run: ${test.fullName} — ${result.note}`);
      }
    }
    const skipped = count.skipped > 0 ? `, ${count.skipped} skipped` : '';
    process.once('exit', () =>
      console.log(
        [...notRun(), ...skippedWithNote, `${count.passed} passed, ${count.failed} failed${skipped}`].join('\n'),
      ),
    );
  },
};

const projects = ['packages', 'apps', 'tools']
  .flatMap((folder) => readdirSync(folder).map((name) => `${folder}/${name}`))
  .filter((root) => existsSync(`${root}/tsconfig.test.json`))
  .map((root) => ({
    extends: true as const,
    root,
    test: { name: (JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as { name: string }).name },
  }));

export default defineConfig({
  // Packages import each other's TypeScript; what runs in another thread or process runs from dist.
  ssr: { resolve: { conditions: ['@millrace/source'] } },
  test: {
    projects,
    include: ['src/**/*.test.ts'],
    pool: 'forks',
    isolate: false,
    maxWorkers: 2,
    testTimeout: 20_000,
    env: { FORCE_COLOR: '0' },
    reporters: ['default', closingLine],
    coverage: { provider: 'v8', include: ['packages/*/src/**'], exclude: ['**/*.test.ts'] },
  },
});
