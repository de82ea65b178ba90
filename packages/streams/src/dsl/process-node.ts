import { json, type Serde } from '@millrace/serde';
import { InvalidPlanError } from '../errors.ts';
import { checkName, type Draft } from './draft.ts';
import type { Processor } from './processor.ts';

/** Adds a processor; one with `onTimer` has a store for its timers, `<name>-timers`. */
export function addProcessor(
  draft: Draft,
  input: number,
  key: Serde<any>,
  processor: Processor<any, any, any, any>,
): number {
  const { name, stores = {}, keys } = processor;
  checkName('processor', name);
  const storeNames = Object.keys(stores);
  const names = storeNames.map((own) => {
    const { storeName } = stores[own];
    if (!draft.stores.has(storeName)) {
      throw new InvalidPlanError(
        `The processor '${name}' uses the store '${storeName}', which another builder has made. Make it with this one.`,
        { processor: name, store: storeName },
      );
    }
    return storeName as string;
  });
  const onTimer = processor.onTimer?.bind(processor); // it may be a method that uses `this`
  if (onTimer !== undefined) {
    const timers = `${name}-timers`;
    names.push(
      draft.addStore({
        name: timers,
        kind: 'timers',
        key,
        value: json<unknown>(),
        changelog: { kind: 'changelog', name: timers },
        emit: 'update',
        ttlMs: undefined,
        windowMs: 0,
        retentionMs: 0,
      }),
    );
  }
  const bound = {
    storeNames,
    keys: keys?.bind(processor),
    onRecord: processor.onRecord.bind(processor),
    onTimer,
  };
  return draft.add('process', [input], processor, bound, names);
}
