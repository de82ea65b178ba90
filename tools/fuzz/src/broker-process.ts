import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** How a process ended: its code, and all it said. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

const millrace = fileURLToPath(new URL('../../../packages/cli/bin/millrace.js', import.meta.url));

/** `millrace broker` as users run it: a process of its own. It dies with us. */
export class BrokerProcess implements AsyncDisposable {
  /** Resolves when the process is gone. */
  readonly ended: Promise<Ending>;
  readonly #child: ChildProcess;
  #address = '';
  #stderr = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    const kill = (): void => void child.kill('SIGKILL');
    process.once('exit', kill);
    child.stderr!.setEncoding('utf8').on('data', (chunk: string) => (this.#stderr += chunk));
    this.ended = once(child, 'close').then(([code, signal]) => {
      process.off('exit', kill);
      return { code, signal, stderr: this.#stderr } as Ending;
    });
  }

  /** @param prefix a command that runs it: `['prlimit', '--fsize=…']` */
  static spawn(args: readonly string[], prefix: readonly string[] = []): BrokerProcess {
    const [command, ...rest] = [...prefix, process.execPath, millrace, 'broker', ...args] as [string, ...string[]];
    return new BrokerProcess(spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'] }));
  }

  /** Resolves when it listens. @throws with what it said if it ends before that */
  static async start(args: readonly string[], prefix: readonly string[] = []): Promise<BrokerProcess> {
    const broker = BrokerProcess.spawn(args, prefix);
    let printed = '';
    const listening = new Promise<string>((resolve) => {
      broker.#child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
        printed += chunk;
        const match = /listening on (\S+)\n/.exec(printed);
        if (match !== null) resolve(match[1]!);
      });
    });
    const ended = broker.ended.then(({ code, signal, stderr }): never => {
      throw new Error(`the broker ended (${signal ?? code}) before it listened: ${stderr}`);
    });
    broker.#address = await Promise.race([listening, ended]);
    return broker;
  }

  /** `host:port` */
  get address(): string {
    return this.#address;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get stderr(): string {
    return this.#stderr;
  }

  get residentBytes(): number {
    return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(this.#child.pid)], { encoding: 'utf8' })) * 1024;
  }

  /** The most it ever had, where the system tells (Linux); else what it has now. */
  get peakResidentBytes(): number {
    const path = `/proc/${this.#child.pid}/status`;
    const match = existsSync(path) ? /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(path, 'utf8')) : null;
    return match === null ? this.residentBytes : Number(match[1]) * 1024;
  }

  async end(signal: NodeJS.Signals): Promise<Ending> {
    if (this.isRunning) this.#child.kill(signal);
    return await this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGKILL');
  }
}
