import type { Serde } from '@millrace/serde';
import type { UserFunction } from '../plan/plan.ts';
import { joinBufferSerde } from '../state/join-buffer-serde.ts';
import { checkName, orJson, type Draft } from './draft.ts';
import type { StreamJoinOptions } from './kstream.ts';
import { checkMs } from './windows.ts';

/** Adds a stream-stream join with its two buffers, `<name>-left` and `<name>-right`. */
export function addStreamJoin(
  draft: Draft,
  join: 'inner' | 'left' | 'outer',
  sides: { readonly left: number; readonly right: number; readonly key: Serde<any> },
  joiner: UserFunction<unknown>,
  options: StreamJoinOptions<any, any, any>,
): number {
  const { name, graceMs } = options;
  checkName('join', name);
  const beforeMs = 'withinMs' in options ? options.withinMs : options.beforeMs;
  const afterMs = 'withinMs' in options ? options.withinMs : options.afterMs;
  checkMs('graceMs', graceMs, 0);
  checkMs('withinMs or beforeMs', beforeMs, 0);
  checkMs('withinMs or afterMs', afterMs, 0);
  // A record of one key and time is found in one of a few lists, and a list is written anew when it changes: so neither one
  // list for the whole window (long) nor one for each time (many).
  const spanMs = beforeMs + afterMs + graceMs + 1;
  const windowMs = Math.max(1, Math.ceil(spanMs / 4));
  const stores = (['left', 'right'] as const).map((side) =>
    draft.addStore({
      name: `${name}-${side}`,
      kind: 'join',
      key: sides.key,
      value: joinBufferSerde(orJson(options[side])),
      changelog: { kind: 'changelog', name: `${name}-${side}` },
      emit: 'update',
      ttlMs: undefined,
      windowMs,
      retentionMs: spanMs,
    }),
  );
  return draft.add(
    'streamStreamJoin',
    [sides.left, sides.right],
    options,
    { joiner, join, beforeMs, afterMs, graceMs },
    stores,
  );
}
