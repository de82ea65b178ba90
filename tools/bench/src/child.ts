import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** Runs a module of ours in a process of its own, with its options as JSON; gives the JSON it prints. */
export async function runChild<T>(module: string, options: object): Promise<T> {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.resolve(module)), JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${module} ended with ${code}: ${output.slice(-500)}`);
  return JSON.parse(output.trim().split('\n').at(-1)!) as T;
}

/** Starts a process and resolves with the first line it prints. */
export async function firstLine(child: ChildProcess): Promise<string> {
  let output = '';
  child.stdout!.setEncoding('utf8');
  for await (const chunk of child.stdout!) {
    output += chunk as string;
    const end = output.indexOf('\n');
    if (end >= 0) return output.slice(0, end);
  }
  throw new Error(`the process ended without a line: ${output}`);
}

/** What the options of a child process are. */
export function childOptions<T>(): T {
  return JSON.parse(process.argv[2]!) as T;
}
