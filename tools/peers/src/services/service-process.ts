import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

export interface ServiceCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** What it prints when it takes connections, on either stream. */
  readonly readyWhen: RegExp;
}

/** A real service as a child process. It dies with us, whatever ends us. */
export class ServiceProcess {
  readonly #child: ChildProcess;
  readonly #killAtExit: () => void;
  readonly #exited: Promise<unknown>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#killAtExit = () => child.kill('SIGKILL');
    process.once('exit', this.#killAtExit);
    this.#exited = once(child, 'exit').finally(() => process.off('exit', this.#killAtExit));
  }

  /** Resolves when the service says that it is ready. Rejects with what it printed when it ends before. */
  static async start({ command, args, uid, gid, readyWhen }: ServiceCommand): Promise<ServiceProcess> {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: '/',
      ...(uid === undefined ? {} : { uid }),
      ...(gid === undefined ? {} : { gid }),
    });
    const service = new ServiceProcess(child);
    let printed = '';
    let ready = false;
    await new Promise<void>((resolve, reject) => {
      const read = (chunk: Buffer): void => {
        if (ready) return; // later output is drained, so that the service never waits for us
        printed += chunk.toString();
        if (!readyWhen.test(printed)) return;
        ready = true;
        resolve();
      };
      child.stdout?.on('data', read);
      child.stderr?.on('data', read);
      child.once('error', reject);
      child.once('exit', (code, signal) => {
        reject(new Error(`${command} ended (${signal ?? code}) before it was ready:\n${printed}`));
      });
    });
    return service;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Sends the signal and resolves when the process is gone. */
  async end(signal: NodeJS.Signals): Promise<void> {
    this.#child.kill(signal);
    await this.#exited;
  }
}
