import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { postgresBinaries } from './postgres.ts';

/** What some tests need and this machine may not have. */
export type Service = 'redis' | 'postgres' | 'kcat' | 'platformatic';

const services: Readonly<Record<Service, { readonly tests: string; readonly whyNot: () => string | undefined }>> = {
  redis: { tests: 'redis tests', whyNot: () => whyNoCommand('redis-server') },
  postgres: {
    tests: 'postgres tests',
    whyNot: () => (postgresBinaries() === undefined ? 'no PostgreSQL from npm or the system' : undefined),
  },
  kcat: { tests: 'kcat tests', whyNot: () => whyNoCommand('kcat') },
  platformatic: {
    tests: '@platformatic/kafka tests',
    whyNot: () => ('withResolvers' in Promise ? undefined : `it needs Node 22, this is ${process.version}`),
  },
};

/** Why tests of a service cannot run here; undefined: they can. */
export function whyNot(service: Service): string | undefined {
  return services[service].whyNot();
}

/** For `describe.runIf(available('redis'))`. */
export function available(service: Service): boolean {
  return whyNot(service) === undefined;
}

/** A line for each service whose tests were left out, for the end of a test run: `not run: redis tests — …`. */
export function notRun(): string[] {
  return Object.values(services).flatMap(({ tests, whyNot: why }) => {
    const reason = why();
    return reason === undefined ? [] : [`not run: ${tests} — ${reason}`];
  });
}

/** The full path of a command; undefined: it is not on the PATH. */
export function findCommand(command: string): string | undefined {
  for (const folder of (process.env['PATH'] ?? '').split(':')) {
    const path = join(folder, command);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      continue; // not in this folder
    }
  }
  return undefined;
}

function whyNoCommand(command: string): string | undefined {
  return findCommand(command) === undefined ? `${command} not found` : undefined;
}
