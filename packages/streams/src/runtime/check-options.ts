import type { Plan } from '../plan/plan.ts';
import type { StreamsOptions } from './app.ts';
import { InvalidStreamsOptionError } from './errors.ts';

/** @throws {InvalidStreamsOptionError} for what cannot work, whatever the cluster is */
export function checkOptions(plan: Plan, options: StreamsOptions): void {
  const atLeast = (name: keyof StreamsOptions, least: number): void => {
    const value = options[name];
    if (value === undefined || (typeof value === 'number' && Number.isSafeInteger(value) && value >= least)) return;
    throw new InvalidStreamsOptionError(name, value, `give an integer of at least ${least}.`);
  };
  atLeast('commitIntervalMs', 1);
  atLeast('bufferedRecordsPerPartition', 1);
  atLeast('maxTaskIdleMs', 0);
  atLeast('statestoreCacheMaxBytes', 0);
  atLeast('sessionTimeoutMs', 1);
  atLeast('metadataMaxAgeMs', 1);
  atLeast('replicationFactor', -1);
  const oneOf = (name: 'processingGuarantee' | 'commit', choices: readonly string[]): void => {
    const value = options[name];
    if (value !== undefined && !choices.includes(value)) {
      throw new InvalidStreamsOptionError(name, value, `choose one of ${choices.join(', ')}.`);
    }
  };
  oneOf('processingGuarantee', ['exactly_once_v2', 'at_least_once']);
  oneOf('commit', ['interval', 'eager']);
  const { applicationId, groupInstanceId } = options;
  if (applicationId !== undefined && !/^[a-zA-Z0-9._-]{1,100}$/.test(applicationId)) {
    throw new InvalidStreamsOptionError('applicationId', applicationId, 'use [a-zA-Z0-9._-], at most 100 of them.');
  }
  if (groupInstanceId === '') throw new InvalidStreamsOptionError('groupInstanceId', '', 'give the instance a name.');
  for (const name of Object.keys(options.stores ?? {})) {
    if (plan.stores.some((store) => store.name === name)) continue;
    throw new InvalidStreamsOptionError('stores', name, 'the plan has no store of that name.');
  }
}
