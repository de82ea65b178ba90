import { recordHeaders } from '@millrace/serde';
import type { SinkRecord } from '@millrace/streams';
import { describe, expect, it } from 'vitest';
import { pieces, postgres } from './postgres-sink.ts';
import { rowsOf, type Row, type RowMapping } from './rows.ts';
import { guardedStatement, quoted, writeStatement } from './sql.ts';

const record = (offset: number, key: string, value: Row | null): SinkRecord<string, Row | null> => ({
  key,
  value,
  timestampMs: 0,
  headers: recordHeaders(),
  offset,
  ordinal: 0,
});
const mapping = (...key: string[]): RowMapping<string, Row | null> => ({ sink: 'items', key, row: (value) => value });

it('keeps the last word on each key, in the order of these words', () => {
  const records = [
    record(0, 'a', { id: 'a', n: 1 }),
    record(1, 'b', null),
    record(2, 'c', { id: 'c', n: 2 }),
    record(3, 'a', null),
    record(4, 'b', { id: 'b', n: 3 }),
  ];
  expect(rowsOf(records, mapping('id'))).toEqual({
    columns: ['id', 'n'],
    upserts: [
      { id: 'c', n: 2 },
      { id: 'b', n: 3 },
    ],
    deletes: [{ id: 'a' }],
  });
});

it('tells keys of several columns apart that look alike when joined', () => {
  const records = [record(0, 'x', { a: '1', b: '23' }), record(1, 'y', { a: '12', b: '3' })];
  expect(rowsOf(records, mapping('a', 'b')).upserts).toHaveLength(2);
});

it('says in JSON what PostgreSQL reads back', () => {
  const row = {
    id: 'a',
    big: 2n ** 63n - 1n,
    nan: Number.NaN,
    at: new Date(0),
    raw: Uint8Array.of(1, 255),
    list: [1n, null],
    doc: { inner: new Date(1) },
  };
  expect(rowsOf([record(0, 'a', row)], mapping('id')).upserts).toEqual([
    {
      id: 'a',
      big: '9223372036854775807',
      nan: 'NaN',
      at: '1970-01-01T00:00:00.000Z',
      raw: '\\x01ff',
      list: ['1', null],
      doc: { inner: '1970-01-01T00:00:00.001Z' },
    },
  ]);
});

describe('refuses, and says which record', () => {
  const refusal = (
    records: readonly SinkRecord<string, Row | null>[],
    keys: string[],
    offsetColumn?: string,
  ): unknown => {
    try {
      return rowsOf(records, mapping(...keys), offsetColumn);
    } catch (error) {
      return error;
    }
  };
  it.each([
    ['no key', [record(3, 'a', { n: 1 })], ['id'], 'no key column id'],
    ['a null key', [record(3, 'a', { id: null, n: 1 })], ['id'], 'no key column id'],
    [
      'other columns',
      [record(2, 'a', { id: 'a', n: 1 }), record(3, 'b', { id: 'b', m: 1 })],
      ['id'],
      'the columns id, m',
    ],
    ['fewer columns', [record(2, 'a', { id: 'a', n: 1 }), record(3, 'b', { id: 'b' })], ['id'], 'the columns id'],
    ['a deletion of two key columns', [record(3, 'a', null)], ['id', 'n'], 'which row'],
  ] as const)('rows with %s', (_, records, keys, reason) => {
    expect(refusal(records, [...keys])).toMatchObject({
      code: 'SINK_REFUSED',
      message: expect.stringContaining(reason),
      context: { sink: 'items', offset: 3, ordinal: 0 },
    });
  });

  it('a deletion in the guarded tier', () => {
    expect(refusal([record(3, 'a', null)], ['id'], 'millrace_offset')).toMatchObject({ code: 'SINK_REFUSED' });
  });
});

it('gives each row of the guarded tier its offset', () => {
  expect(rowsOf([record(7, 'a', { id: 'a' })], mapping('id'), 'millrace_offset')).toEqual({
    columns: ['id', 'millrace_offset'],
    upserts: [{ id: 'a', millrace_offset: 7 }],
    deletes: [],
  });
});

describe('a batch', () => {
  const batchOf = (offsets: readonly number[], lastOffset: number) => ({
    firstOffset: offsets[0] ?? 0,
    lastOffset,
    records: offsets.map((offset) => record(offset, 'a', null)),
  });
  const cut = (offsets: readonly number[], lastOffset: number, maxRows: number): unknown =>
    [...pieces(batchOf(offsets, lastOffset), maxRows)].map(([records, next]) => [
      records.map(({ offset }) => offset),
      next,
    ]);

  it('is cut at the limit, and its pieces touch up to its end', () => {
    expect(cut([0, 1, 2], 9, 3)).toEqual([[[0, 1, 2], 10]]);
    expect(cut([0, 1, 2, 5], 9, 3)).toEqual([
      [[0, 1, 2], 3],
      [[5], 10],
    ]);
  });

  it('is never cut between the results of one record', () => {
    expect(cut([0, 0, 0, 4, 4], 4, 2)).toEqual([
      [[0, 0, 0], 1],
      [[4, 4], 5],
    ]);
  });

  it('without results still moves the position', () => {
    expect(cut([], 9, 3)).toEqual([[[], 10]]);
  });
});

it('quotes names, whatever is in them', () => {
  expect(quoted('items')).toBe('"items"');
  expect(quoted('reports.items')).toBe('"reports"."items"');
  expect(quoted('a"; drop table b; --')).toBe('"a""; drop table b; --"');
  const statement = writeStatement({ table: 's.t', key: ['select'] }, ['select', 'n']);
  expect(statement).toContain('on conflict ("select") do update set "n" = excluded."n"');
  expect(writeStatement({ table: 't', key: ['id'] }, ['id'])).toContain('on conflict ("id") do nothing');
  expect(guardedStatement({ table: 't', key: ['id'] }, ['id', 'millrace_offset'])).toContain(
    'where t."millrace_offset" < excluded."millrace_offset"',
  );
});

it.each([
  [{ key: [] }, /names no column/],
  [{ key: ['id'], batchMaxRows: 0 }, /whole number from 1/],
  [{ key: ['id'], batchMaxRows: 1.5 }, /whole number from 1/],
])('refuses the options %j at once', (options, message) => {
  expect(() => postgres({ url: 'postgres://nowhere', table: 't', row: () => null, ...options })).toThrow(message);
});
