import { recordHeaders, type SerdeContext } from '@millrace/serde';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { versionedJson } from './versioned-json.ts';

const Event = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('opened'), owner: z.string(), currency: z.string() }),
  z.strictObject({ type: z.literal('closed') }),
]);
const serde = versionedJson(Event, {
  opened: [
    (old: { name: string }) => ({ type: 'opened', owner: old.name }),
    (old: { owner: string }) => ({ type: 'opened', owner: old.owner, currency: 'EUR' }),
  ],
});
const context: SerdeContext = { topic: 'events', part: 'value', headers: recordHeaders() };
const read = (value: unknown): unknown => serde.deserialize(Buffer.from(JSON.stringify(value)), context);
const today = { type: 'opened', owner: 'Ada', currency: 'CHF' } as const;

it('writes the version that has as many steps behind it, and reads it back without', () => {
  const bytes = serde.serialize(today, context);
  expect(JSON.parse(Buffer.from(bytes).toString())).toEqual({ ...today, $version: 2 });
  expect(serde.deserialize(bytes, context)).toEqual(today);
});

it('writes a type that has never changed as plain JSON', () => {
  const bytes = serde.serialize({ type: 'closed' }, context);
  expect(Buffer.from(bytes).toString()).toBe('{"type":"closed"}');
  expect(serde.deserialize(bytes, context)).toEqual({ type: 'closed' });
});

it.each([
  [{ type: 'opened', name: 'Ada' }, 'EUR'],
  [{ type: 'opened', name: 'Ada', $version: 0 }, 'EUR'],
  [{ type: 'opened', owner: 'Ada', $version: 1 }, 'EUR'],
  [{ type: 'opened', owner: 'Ada', currency: 'CHF', $version: 2 }, 'CHF'],
])('brings %j up to date', (old, currency) => {
  expect(read(old)).toEqual({ type: 'opened', owner: 'Ada', currency });
});

describe('refuses', () => {
  it.each([[3], [-1], [0.5], ['1'], [null]])('the version %j, and says which is the newest', (version) => {
    expect(() => read({ ...today, $version: version })).toThrow(/here 2 is the newest/);
  });

  it('what does not fit the schema after the last step, and says where', () => {
    expect(() => read({ type: 'opened', owner: 7, $version: 1 })).toThrow(/owner/);
    expect(() => read({ type: 'unknown' })).toThrow(expect.objectContaining({ code: 'INVALID_VALUE' }));
  });

  it.each([
    ['null', 'UNDECODABLE'],
    ['7', 'UNDECODABLE'],
    ['"x"', 'UNDECODABLE'],
    ['[]', 'INVALID_VALUE'],
    ['{', 'UNDECODABLE'],
    ['', 'UNDECODABLE'],
  ])('%s, which is no event, as %s', (text, code) => {
    expect(() => serde.deserialize(Buffer.from(text), context)).toThrow(expect.objectContaining({ code }));
  });

  it('a type that is a property of every object', () => {
    expect(() => read({ type: 'constructor' })).toThrow(expect.objectContaining({ code: 'INVALID_VALUE' }));
  });
});
