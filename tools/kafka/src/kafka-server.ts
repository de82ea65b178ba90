import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import getPort from 'get-port';
import { kafkaClassPath } from './distribution.ts';

/** One node of Apache Kafka (KRaft, broker and controller in one), on a free port, in a directory of its own. */
export class KafkaServer {
  readonly bootstrapServers: string;
  /** Its log directory: segments lie in `<topic>-<partition>/`. */
  readonly dataDirectory: string;
  readonly #process: ChildProcess;
  readonly #directory: string;

  /**
   * Resolves when the broker takes connections: about 4 seconds.
   * @param options `jvmOptions`: the default is for a quick start; what runs long is slow with it
   */
  static async start(
    properties: Readonly<Record<string, string | number>> = {},
    options: { readonly jvmOptions?: readonly string[] | undefined } = {},
  ): Promise<KafkaServer> {
    const classPath = await kafkaClassPath();
    const directory = mkdtempSync(join(tmpdir(), 'millrace-kafka-'));
    const dataDirectory = join(directory, 'data');
    const [port, controllerPort] = await Promise.all([getPort({ host: '127.0.0.1' }), getPort({ host: '127.0.0.1' })]);
    const config = join(directory, 'server.properties');
    const settings: Record<string, string | number> = {
      'process.roles': 'broker,controller',
      'node.id': 1,
      'controller.quorum.bootstrap.servers': `127.0.0.1:${controllerPort}`,
      'controller.listener.names': 'CONTROLLER',
      listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
      'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
      'log.dirs': dataDirectory,
      'offsets.topic.replication.factor': 1,
      'offsets.topic.num.partitions': 3,
      'transaction.state.log.replication.factor': 1,
      'transaction.state.log.min.isr': 1,
      'transaction.state.log.num.partitions': 3,
      'share.coordinator.state.topic.replication.factor': 1,
      'share.coordinator.state.topic.min.isr': 1,
      'group.initial.rebalance.delay.ms': 0,
      ...properties,
    };
    writeFileSync(
      config,
      Object.entries(settings)
        .map(([name, value]) => `${name}=${value}\n`)
        .join(''),
    );
    await java(classPath, 'kafka.tools.StorageTool', ['format', '-t', clusterId, '--standalone', '-c', config]);
    const output = openSync(join(directory, 'kafka.log'), 'a');
    const jvmOptions = options.jvmOptions ?? ['-Xmx512m', '-XX:TieredStopAtLevel=1'];
    const child = spawn('java', [...jvmOptions, '-cp', classPath, 'kafka.Kafka', config], {
      stdio: ['ignore', output, output],
    });
    closeSync(output);
    const server = new KafkaServer(child, directory, dataDirectory, `127.0.0.1:${port}`);
    try {
      await server.#ready(classPath);
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  private constructor(child: ChildProcess, directory: string, dataDirectory: string, bootstrapServers: string) {
    this.#process = child;
    this.#directory = directory;
    this.dataDirectory = dataDirectory;
    this.bootstrapServers = bootstrapServers;
  }

  /** Stops it as an operator would, so that segments and snapshots are whole; `remove: false` keeps the files. */
  async stop(options: { readonly remove?: boolean | undefined } = {}): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill('SIGTERM');
      await once(this.#process, 'exit');
    }
    if (options.remove ?? true) rmSync(this.#directory, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** A client of Kafka's own asks until it is answered; its time-outs do the waiting. */
  async #ready(classPath: string): Promise<void> {
    const died = once(this.#process, 'exit').then(() => {
      throw new Error(
        `Apache Kafka ended early:\n${readFileSync(join(this.#directory, 'kafka.log'), 'utf8').slice(-4000)}`,
      );
    });
    await Promise.race([
      died,
      java(classPath, 'org.apache.kafka.tools.TopicCommand', ['--bootstrap-server', this.bootstrapServers, '--list']),
    ]);
    died.catch(() => {}); // from here on an exit is `stop`'s, or fails the test's own calls
  }
}

/** Runs a class of Apache Kafka's, such as `org.apache.kafka.tools.DumpLogSegments`; gives what it prints. */
export async function kafkaTool(mainClass: string, args: readonly string[]): Promise<string> {
  return await java(await kafkaClassPath(), mainClass, args);
}

const clusterId = 'MkU3OEVBNTcwNTJENDM2Qk';

async function java(classPath: string, mainClass: string, args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(
    'java',
    ['-Xmx256m', '-XX:TieredStopAtLevel=1', '-cp', classPath, mainClass, ...args],
    { maxBuffer: 64 << 20, timeout: 120_000 },
  );
  return stdout;
}
