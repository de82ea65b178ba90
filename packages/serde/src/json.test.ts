import type { StandardSchemaV1 } from '@standard-schema/spec';
import { type } from 'arktype';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { json, recordHeaders, type Serde, type SerdeContext } from './index.ts';

const context: SerdeContext = { topic: 'orders', part: 'value', headers: recordHeaders() };
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

it('trusts what it reads without a schema', () => {
  const serde = json<{ id: string }>();
  expect(serde.deserialize(text('{"id":5}'), context)).toEqual({ id: 5 });
  expect(new TextDecoder().decode(serde.serialize({ id: 'a' }, context))).toBe('{"id":"a"}');
});

describe.each<[string, Serde<{ id: string; cents: number }>]>([
  ['zod', json(z.object({ id: z.string(), cents: z.number().int() }))],
  ['valibot', json(v.object({ id: v.string(), cents: v.pipe(v.number(), v.integer()) }))],
  ['arktype', json(type({ id: 'string', cents: 'number.integer' }))],
])('with a schema of %s', (_name, serde) => {
  it('gives what fits', () => {
    expect(serde.deserialize(text('{"id":"a","cents":5}'), context)).toEqual({ id: 'a', cents: 5 });
  });

  it('refuses what does not, and says where and why', () => {
    expect(() => serde.deserialize(text('{"id":"a","cents":0.5}'), context)).toThrow(
      expect.objectContaining({
        code: 'INVALID_VALUE',
        message: expect.stringMatching(/value of orders .* cents: /),
        context: expect.objectContaining({ issues: [expect.objectContaining({ path: 'cents' })] }),
      }),
    );
  });
});

it('gives the output of a schema that transforms', () => {
  const serde = json(z.object({ at: z.coerce.date() }));
  const value = { at: new Date('2026-01-02T03:04:05Z') };
  expect(serde.deserialize(serde.serialize(value, context), context)).toEqual(value);
});

it('refuses a schema that validates asynchronously, and its rejection is nobody else’s trouble', () => {
  const schema: StandardSchemaV1<string> = {
    '~standard': { version: 1, vendor: 'test', validate: () => Promise.reject(new Error('later')) },
  };
  expect(() => json(schema).deserialize(text('"a"'), context)).toThrow(
    expect.objectContaining({ code: 'ASYNC_SCHEMA' }),
  );
});

it('refuses what a schema answers later, by whatever promise', () => {
  // oxlint-disable-next-line unicorn/no-thenable
  const later = { then: (settle: (result: object) => void) => settle({ value: 'a' }) };
  const schema = {
    '~standard': { version: 1, vendor: 'test', validate: () => later as unknown as Promise<never> },
  } satisfies StandardSchemaV1;
  expect(() => json(schema).deserialize(text('"a"'), context)).toThrow(
    expect.objectContaining({ code: 'ASYNC_SCHEMA' }),
  );
});

it('says where a schema was at work that throws', () => {
  const cause = new TypeError('x is not iterable');
  const schema: StandardSchemaV1<string> = {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: () => {
        throw cause;
      },
    },
  };
  expect(() => json(schema).deserialize(text('"a"'), context)).toThrow(
    expect.objectContaining({
      code: 'INVALID_VALUE',
      cause,
      message: expect.stringContaining('The value of orders does not fit its schema: x is not iterable'),
      context: expect.objectContaining({ issues: [{ path: '', message: 'x is not iterable' }] }),
    }),
  );
});

it('shows three issues and counts the rest', () => {
  const serde = json(z.object({ a: z.string(), b: z.string(), c: z.string(), d: z.string(), e: z.string() }));
  expect(() => serde.deserialize(text('{}'), context)).toThrow(/a: .*; b: .*; c: .* \(and 2 more\)/);
});

it.each([
  ['undefined', undefined],
  ['a function', () => 1],
  ['a bigint', { n: 1n }],
  [
    'a cycle',
    (() => {
      const a: { a?: unknown } = {};
      a.a = a;
      return a;
    })(),
  ],
])('cannot write %s', (_name, value) => {
  expect(() => json<unknown>().serialize(value, context)).toThrow(expect.objectContaining({ code: 'UNENCODABLE' }));
});

it.each([
  ['nothing', new Uint8Array()],
  ['half of it', text('{"a":')],
  ['bytes that are not UTF-8', new Uint8Array([0x22, 0xff, 0x22])],
])('cannot read %s', (_name, data) => {
  expect(() => json().deserialize(data, context)).toThrow(expect.objectContaining({ code: 'UNDECODABLE' }));
});
