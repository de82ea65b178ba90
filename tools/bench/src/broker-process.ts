import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { firstLine } from './child.ts';

/** A broker in a process of its own, as `millrace broker` starts it. */
export interface BrokerProcess {
  readonly address: string;
  /** From spawn to the line that says it is ready. */
  readonly readyMs: number;
  /** Resident memory, in MiB. */
  residentMiB(): number;
  stop(): Promise<void>;
}

export async function startBroker(options: { readonly flush?: string | undefined } = {}): Promise<BrokerProcess> {
  const data = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
  const bin = fileURLToPath(new URL('../../../packages/cli/bin/millrace.js', import.meta.url));
  const startedMs = performance.now();
  const child = spawn(
    process.execPath,
    [bin, 'broker', '--data', data, '--port', '0', '--flush', options.flush ?? 'commit'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const line = await firstLine(child);
  return {
    address: line.replace('listening on ', ''),
    readyMs: performance.now() - startedMs,
    residentMiB() {
      const kib = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]);
      return kib / 1024;
    },
    async stop() {
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
      rmSync(data, { recursive: true, force: true });
    },
  };
}
