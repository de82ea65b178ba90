import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** The release that the tests run against. */
export const kafkaVersion = '4.4.0';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** Why Apache Kafka cannot be had on this machine; undefined: it can. */
export function whyNoKafka(): string | undefined {
  if (existsSync(libraries())) return whyNoJava();
  return whyNoJava() ?? (firstLine('mvn', ['--version']) === undefined ? 'Maven (`mvn`) is not installed' : undefined);
}

/** The class path of Apache Kafka, fetched from Maven Central the first time (about 55 MB, kept in node_modules/.cache). */
export async function kafkaClassPath(): Promise<string> {
  const target = libraries();
  if (!existsSync(target)) {
    const partial = `${target}.${process.pid}`;
    mkdirSync(partial, { recursive: true });
    await promisify(execFile)('mvn', [
      '-q',
      '-B',
      '-f',
      fileURLToPath(new URL('../pom.xml', import.meta.url)),
      `-Dkafka.version=${kafkaVersion}`,
      'dependency:copy-dependencies',
      `-DoutputDirectory=${partial}`,
      '-DincludeScope=runtime',
    ]);
    if (!readdirSync(partial).some((name) => name.startsWith('kafka_2.13'))) {
      throw new Error(`Maven ended well, but ${partial} has no kafka_2.13 jar`);
    }
    if (existsSync(target)) rmSync(partial, { recursive: true });
    else renameSync(partial, target);
  }
  return `${target}/*`;
}

function libraries(): string {
  return `${root}node_modules/.cache/millrace/kafka-${kafkaVersion}`;
}

function whyNoJava(): string | undefined {
  const line = firstLine('java', ['-version']);
  if (line === undefined) return 'Java is not installed';
  const major = Number(/version "(\d+)/.exec(line)?.[1]);
  return major >= 17 ? undefined : `Java 17 is needed, here is: ${line}`;
}

function firstLine(command: string, args: readonly string[]): string | undefined {
  try {
    // `java -version` speaks on standard error.
    return execFileSync('sh', ['-c', '"$0" "$@" 2>&1', command, ...args], { encoding: 'utf8' }).split('\n')[0];
  } catch {
    return undefined;
  }
}
