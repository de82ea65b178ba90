/** `npm run test:kafka`: what must hold on Apache Kafka too. Says why where it cannot be had, and that is not a failure. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { kafkaClassPath, kafkaVersion, whyNoKafka } from './distribution.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

async function main(): Promise<number> {
  const missing = whyNoKafka() ?? (await whyNotFetched());
  if (missing !== undefined) {
    console.log(`not run: the tests against Apache Kafka ${kafkaVersion} — ${missing}`);
    return 0;
  }
  const vitest = fileURLToPath(new URL('../../../node_modules/vitest/vitest.mjs', import.meta.url));
  const args = [vitest, 'run', '--config', 'tools/kafka/vitest.config.ts', ...process.argv.slice(2)];
  return spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' }).status ?? 1;
}

async function whyNotFetched(): Promise<string | undefined> {
  try {
    await kafkaClassPath();
    return undefined;
  } catch (error) {
    return `it could not be fetched from Maven Central (${String(error).split('\n')[0]})`;
  }
}

process.exitCode = await main();
