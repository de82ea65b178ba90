import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { firstLine } from './child.ts';

/** A broker in a process of its own, as `millrace broker` starts it. Disposal ends it and deletes its data. */
export interface BrokerProcess extends AsyncDisposable {
  readonly address: string;
  /** From spawn to the line that says it is ready. */
  readonly readyMs: number;
  /** Resident memory, in MiB, as Linux counts it. */
  residentMiB(): number;
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
  const readyMs = performance.now() - startedMs;
  return {
    address: line.replace('listening on ', ''),
    readyMs,
    residentMiB() {
      const kib = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]);
      return kib / 1024;
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }
      rmSync(data, { recursive: true, force: true });
    },
  };
}
