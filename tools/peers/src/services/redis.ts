import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import getPort from 'get-port';
import type { Redis } from 'ioredis';
import { ServiceProcess } from './service-process.ts';

/** A real `redis-server` of one node, without persistence unless the config says otherwise. */
export interface RedisServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Kills it and starts it again on the same port: empty, unless its config makes it persistent. */
  restart(): Promise<void>;
  /** Stops the process where it is, until `resume`. */
  freeze(): void;
  resume(): void;
  stop(): Promise<void>;
}

/**
 * Starts a Redis on a free port.
 *
 *     await using redis = await startRedis({ maxmemory: '20mb' });
 *
 * @param config settings of `redis.conf`
 */
export async function startRedis(config: Readonly<Record<string, string | number>> = {}): Promise<RedisServer> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-redis-'));
  const launch = (port: number): Promise<ServiceProcess> => {
    const settings = {
      bind: '127.0.0.1',
      port,
      dir: directory,
      save: '',
      appendonly: 'no',
      ...config,
    };
    return ServiceProcess.start({
      command: 'redis-server',
      args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]),
      readyWhen: /Ready to accept connections/,
    });
  };

  let port = await getPort({ host: '127.0.0.1' });
  let service: ServiceProcess;
  for (let attempt = 0; ; attempt++) {
    try {
      service = await launch(port);
      break;
    } catch (error) {
      if (attempt === 2) throw error; // the port was taken twice in between: something else is wrong
      port = await getPort({ host: '127.0.0.1' });
    }
  }
  let isStopped = false;
  const stop = async (): Promise<void> => {
    if (isStopped) return;
    isStopped = true;
    await service.end('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    async restart() {
      await service.end('SIGKILL');
      service = await launch(port);
    },
    freeze: () => service.signal('SIGSTOP'),
    resume: () => service.signal('SIGCONT'),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** The server's folder is gone, as a disk may be full: its next snapshot fails, and from then on it refuses writes (`MISCONF`). */
export async function breakSaving(redis: Redis): Promise<void> {
  const [, directory] = (await redis.config('GET', 'dir')) as [string, string];
  rmSync(directory, { recursive: true });
  await redis.bgsave();
  while (!(await redis.info('persistence')).includes('rdb_last_bgsave_status:err')) await new Promise(setImmediate);
}
