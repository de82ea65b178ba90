import { defineConfig } from 'vitest/config';

/** Only `npm run test:kafka` runs these: they need Java and, the first time, Maven Central. */
export default defineConfig({
  ssr: { resolve: { conditions: ['@millrace/source'] } },
  test: {
    include: ['tools/kafka/src/**/*.kafka.ts'],
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 180_000,
    hookTimeout: 180_000,
    env: { FORCE_COLOR: '0' },
  },
});
