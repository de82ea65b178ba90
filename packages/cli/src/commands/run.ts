import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Client } from '@millrace/client';
import { Streams, type StreamsOptions, type Topology } from '@millrace/streams';
import { auditTime } from 'rxjs';
import { clusterOf, type ClusterFlags } from '../cluster.ts';
import { UsageError } from '../errors.ts';
import { output } from '../output.ts';

interface Options extends ClusterFlags {
  readonly describe?: string | true;
  readonly atLeastOnce?: boolean;
  readonly eager?: boolean;
  readonly instance?: string;
  readonly json?: boolean;
}

/** A module that can be run: `topology` is the plan; `options`, if there, say where stores are kept and the like. */
interface PipelineModule {
  readonly topology: Topology;
  readonly options?: Partial<StreamsOptions>;
}

const metricsEveryMs = 1000;

/** Runs a plan until Ctrl-C, with a line of figures every second. */
export async function runPipeline(file: string, options: Options): Promise<void> {
  const { topology, options: own } = await load(file);
  if (options.describe !== undefined) {
    process.stdout.write(`${topology.describe(formatOf(options.describe)).trimEnd()}\n`);
    return;
  }
  const stopping = new AbortController();
  process.once('SIGINT', () => stopping.abort()).once('SIGTERM', () => stopping.abort());
  // An app that runs waits for a broker that is away. At the start, a wrong address is likelier.
  await (await Client.connect(clusterOf(options))).close();
  const out = output(options);
  out.say(topology.describe('text').trimEnd());
  await using app = Streams.start(topology, {
    ...own,
    cluster: clusterOf(options),
    processingGuarantee: options.atLeastOnce ? 'at_least_once' : (own?.processingGuarantee ?? 'exactly_once_v2'),
    commit: options.eager ? 'eager' : own?.commit,
    groupInstanceId: options.instance ?? own?.groupInstanceId,
    signal: stopping.signal,
  });
  app.state$.subscribe((state) => process.stderr.write(`state: ${state}\n`));
  app.failures$.subscribe(({ node, outcome, error, source }) => {
    process.stderr.write(
      `${outcome} in ${node}: ${source.topic}-${source.partition}@${source.offset}: ${String(error)}\n`,
    );
  });
  app.metrics$.pipe(auditTime(metricsEveryMs)).subscribe((metrics) => {
    const { recordsPerSecond, lagRecords, lateRecords, droppedRecords, commitMs } = metrics;
    const line = { recordsPerSecond: Math.round(recordsPerSecond), lagRecords, lateRecords, droppedRecords };
    if (options.json) out.item({ ...line, commitMsP99: commitMs.p99 });
    else if (process.stdout.isTTY) process.stdout.write(`\r\x1b[2K${text(line)}`);
    else out.say(text(line));
  });
  try {
    await app.done;
  } finally {
    if (process.stdout.isTTY && !options.json) process.stdout.write('\n');
  }
}

function text(line: Readonly<Record<string, number>>): string {
  const { recordsPerSecond, lagRecords, lateRecords, droppedRecords } = line;
  return `${recordsPerSecond} records/s, ${lagRecords} waiting, ${lateRecords} late, ${droppedRecords} dropped`;
}

async function load(file: string): Promise<PipelineModule> {
  const path = resolve(file);
  if (!existsSync(path)) throw new UsageError(`There is no file ${path}`);
  let module: Partial<PipelineModule>;
  try {
    module = (await import(pathToFileURL(path).href)) as Partial<PipelineModule>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_UNKNOWN_FILE_EXTENSION') {
      throw new UsageError(`${file} is TypeScript: run it on Node 22.18 or later, or compile it first`, {
        cause: error,
      });
    }
    throw new UsageError(`${file} cannot be loaded: ${String(error)}${placeOf(error)}`, { cause: error });
  }
  if (typeof module.topology?.describe !== 'function') {
    throw new UsageError(`${file} must export its plan as \`topology\` (what StreamsBuilder.build() returns)`);
  }
  return module as PipelineModule;
}

/** Where in the module: the first frame of its stack that is a file. */
function placeOf(error: unknown): string {
  const frame = error instanceof Error ? /file:\S+?:\d+(?::\d+)?/.exec(error.stack ?? '') : null;
  return frame === null ? '' : ` (${frame[0]})`;
}

function formatOf(text: string | true): 'text' | 'json' | 'mermaid' {
  if (text === true) return 'text';
  if (text === 'text' || text === 'json' || text === 'mermaid') return text;
  throw new UsageError(`--describe is text, json or mermaid, not ${text}`);
}
