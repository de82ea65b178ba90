import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { sleep } from './waiting.ts';

/** Between a process's own end and its next start, in ms: what fails at once must not take the machine. */
const restartDelayMs = 200;
/** How long a process may take over SIGTERM, in ms. */
const stopTimeoutMs = 30_000;

/** A process that is started again whenever it ends, until it ends with code 0 or is told to stop. */
export class Supervised {
  readonly name: string;
  killCount = 0;
  pauseCount = 0;
  /** What it said when it ended by itself with an error: fenced, or a broker that was away for too long. */
  readonly errors: string[] = [];
  readonly #start: () => ChildProcess;
  #child: ChildProcess;
  #isStopping = false;
  #isFinished = false;
  #resume: NodeJS.Timeout | undefined;

  constructor(name: string, start: () => ChildProcess) {
    this.name = name;
    this.#start = start;
    this.#child = this.#run();
  }

  /** It has ended with code 0, and is not started again. */
  get isFinished(): boolean {
    return this.#isFinished;
  }

  /** `kill -9`; it is started again at once. False: it is down just now, or has finished. */
  kill(): boolean {
    if (!this.#isRunning) return false;
    this.#child.kill('SIGKILL');
    this.killCount++;
    return true;
  }

  /** SIGSTOP, and SIGCONT after a while: to the others it seems dead, and then it comes back and believes what it knew. */
  pause(forMs: number): boolean {
    if (!this.#isRunning || this.#resume !== undefined) return false;
    const child = this.#child;
    child.kill('SIGSTOP');
    this.pauseCount++;
    this.#resume = setTimeout(() => {
      this.#resume = undefined;
      child.kill('SIGCONT');
    }, forMs);
    return true;
  }

  /** SIGTERM, and no more starts. @throws if it has not ended after half a minute */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const child = this.#child;
    if (!this.#isRunning) return;
    child.kill('SIGCONT');
    child.kill('SIGTERM');
    let isLate = false;
    const killing = setTimeout(() => {
      isLate = true;
      child.kill('SIGKILL');
    }, stopTimeoutMs);
    await once(child, 'exit'); // by SIGKILL too, where a blow came just before
    clearTimeout(killing);
    if (isLate) throw new Error(`${this.name} did not end within ${stopTimeoutMs} ms of SIGTERM`);
  }

  /** Whatever it does, it ends now. */
  async destroy(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#resume);
    if (!this.#isRunning) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }

  get #isRunning(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  #run(): ChildProcess {
    const child = this.#start();
    const killAtExit = (): void => void child.kill('SIGKILL');
    process.once('exit', killAtExit);
    let tail = '';
    child.stdout?.resume();
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (tail = (tail + chunk).slice(-2000)));
    child.once('exit', (code, signal) => {
      process.off('exit', killAtExit);
      if (code === 0) this.#isFinished = true;
      else if (signal !== 'SIGKILL' && !(this.#isStopping && signal === 'SIGTERM'))
        this.errors.push(`${tail.trim() || '(nothing on stderr)'} [${signal ?? code}]`);
      if (this.#isStopping || this.#isFinished) return;
      if (signal === 'SIGKILL') this.#child = this.#run();
      else void this.#runLater();
    });
    return child;
  }

  async #runLater(): Promise<void> {
    await sleep(restartDelayMs);
    if (!this.#isStopping) this.#child = this.#run();
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

/** A command of the system. */
export function spawnCommand(command: string, args: readonly string[]): ChildProcess {
  return spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
}

export function hasCommand(command: string): boolean {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
}
