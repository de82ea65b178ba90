import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** A process that is started again whenever it ends, until it is told to stop. */
export class Supervised {
  readonly name: string;
  killCount = 0;
  /** Ends by itself: fenced producers, fatal errors. */
  exitCount = 0;
  readonly errors: string[] = [];
  readonly #start: () => ChildProcess;
  #child: ChildProcess;
  #isStopping = false;
  #isFinished = false;

  constructor(name: string, start: () => ChildProcess) {
    this.name = name;
    this.#start = start;
    this.#child = this.#run();
  }

  get child(): ChildProcess {
    return this.#child;
  }

  /** `kill -9`; the supervisor starts it again at once. */
  kill(): void {
    if (this.#isFinished) return;
    this.killCount++;
    this.#child.kill('SIGKILL');
  }

  /** SIGTERM, and no more starts. Resolves with the exit code. */
  async stop(): Promise<number | null> {
    this.#isStopping = true;
    const child = this.#child;
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    return child.exitCode;
  }

  #run(): ChildProcess {
    const child = this.#start();
    let tail = '';
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (tail = (tail + chunk).slice(-2000)));
    child.once('exit', (code, signal) => {
      if (code === 0) this.#isFinished = true;
      if (signal !== 'SIGKILL' && code !== 0) {
        this.exitCount++;
        this.errors.push(tail.trim().split('\n').at(-1) ?? '');
      }
      if (!this.#isStopping && !this.#isFinished) this.#child = this.#run();
    });
    return child;
  }
}

/** A module of ours as a process of its own, found by the manifest's `imports`. */
export function spawnWorker(module: string, options: object): ChildProcess {
  return spawn(process.execPath, [fileURLToPath(import.meta.resolve(module)), JSON.stringify(options)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

/** A command of this repository. */
export function spawnScript(path: string, args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [fileURLToPath(new URL(`../../../${path}`, import.meta.url)), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}
