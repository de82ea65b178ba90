import { describe, expect, it } from 'vitest';
import * as publicNames from './index.ts';
import {
  decode,
  encode,
  int64,
  json,
  nullable,
  recordHeaders,
  sessionWindowed,
  string,
  topic,
  topicPattern,
  windowed,
  type SerdeContext,
} from './index.ts';

const context: SerdeContext = { topic: 'orders', part: 'key', headers: recordHeaders() };
const hex = (data: Uint8Array | null): string | null => (data === null ? null : Buffer.from(data).toString('hex'));

describe('nulls', () => {
  it('pass where the contract says so, and never reach the serde', () => {
    const serde = nullable({
      ...string,
      serialize: (value: string, around) =>
        (value === null ? 'reached' : string.serialize(value, around)) as Uint8Array,
    });
    expect(encode(serde, null, context)).toBeNull();
    expect(decode(serde, null, context)).toBeNull();
    expect(decode(serde, encode(serde, 'a', context), context)).toBe('a');
    expect(serde.name).toBe('nullable(string)');
  });

  it('are an error elsewhere, which says what to write', () => {
    expect(() => encode(string, null as never, context)).toThrow(expect.objectContaining({ code: 'UNEXPECTED_NULL' }));
    expect(() => decode(string, null, context)).toThrow(/key of orders is null.*nullable\(string\)/);
  });

  it('keep an empty text apart', () => {
    expect(hex(encode(nullable(string), '', context))).toBe('');
    expect(decode(nullable(string), new Uint8Array(), context)).toBe('');
  });
});

describe('windowed keys', () => {
  it('are key and start, as Kafka Streams writes them', () => {
    const serde = windowed(string, { sizeMs: 60_000 });
    const key = { key: 'ab', window: { startMs: 2 ** 40, endMs: 2 ** 40 + 60_000 } };
    expect(hex(serde.serialize(key, context))).toBe('6162' + '0000010000000000');
    expect(serde.deserialize(serde.serialize(key, context), context)).toEqual(key);
    expect(serde.name).toBe('windowed(string,60000)');
  });

  it('of sessions are key, end and start', () => {
    const serde = sessionWindowed(string);
    const key = { key: '', window: { startMs: 1, endMs: 3 } };
    expect(hex(serde.serialize(key, context))).toBe('0000000000000003' + '0000000000000001');
    expect(serde.deserialize(serde.serialize(key, context), context)).toEqual(key);
  });

  it('refuse another size, times before 1970, and bytes that are too few', () => {
    const serde = windowed(string, { sizeMs: 10 });
    const key = (startMs: number, endMs: number) => ({ key: 'a', window: { startMs, endMs } });
    expect(() => serde.serialize(key(0, 11), context)).toThrow(expect.objectContaining({ code: 'UNENCODABLE' }));
    expect(() => serde.serialize(key(-10, 0), context)).toThrow(expect.objectContaining({ code: 'UNENCODABLE' }));
    expect(() => serde.deserialize(new Uint8Array(7), context)).toThrow(
      expect.objectContaining({ code: 'UNDECODABLE' }),
    );
    expect(serde.deserialize(new Uint8Array(8), context)).toEqual({ key: '', window: { startMs: 0, endMs: 10 } });
    expect(() => serde.deserialize(new Uint8Array(8).fill(0xff), context)).toThrow(
      expect.objectContaining({ code: 'UNDECODABLE' }),
    );
  });
});

it('what wraps a serde prepares it as well', async () => {
  const prepared: string[] = [];
  const inner = {
    ...string,
    prepare: (name: string, part: string) => Promise.resolve(void prepared.push(`${name} ${part}`)),
  };
  for (const serde of [nullable(inner), windowed(inner, { sizeMs: 1 }), sessionWindowed(inner)]) {
    await serde.prepare!('orders', 'key');
  }
  expect(prepared).toEqual(Array(3).fill('orders key'));
});

describe('windows that are none', () => {
  const time = windowed(string, { sizeMs: 10 });
  const session = sessionWindowed(string);
  const last = Number.MAX_SAFE_INTEGER;
  const at = (startMs: number, endMs: number) => ({ key: 'a', window: { startMs, endMs } });
  const int64s = (...times: number[]): Uint8Array =>
    Buffer.concat([Buffer.from('a'), ...times.map((each) => int64.serialize(each, context))]);

  it('are not written', () => {
    const values: [typeof time, unknown][] = [
      [time, 'a'],
      [time, null],
      [time, { key: 'a' }],
      [session, 'a'],
      [session, { key: 'a', window: null }],
      [session, at(3, 2)],
      [session, at(-1, 2)],
      [time, at(last - 5, last + 5)],
    ];
    for (const [serde, value] of values) {
      expect(() => serde.serialize(value as never, context), JSON.stringify(value)).toThrow(
        expect.objectContaining({ code: 'UNENCODABLE' }),
      );
    }
    expect(() => [time.serialize(at(last - 10, last), context), session.serialize(at(2, 2), context)]).not.toThrow();
  });

  it('are not read', () => {
    expect(session.deserialize(int64s(2, 2), context)).toEqual(at(2, 2));
    expect(time.deserialize(int64s(last - 10), context)).toEqual(at(last - 10, last));
    for (const act of [
      () => session.deserialize(int64s(2, 3), context),
      () => time.deserialize(int64s(last - 9), context),
    ]) {
      expect(act).toThrow(expect.objectContaining({ code: 'UNDECODABLE' }));
    }
  });
});

describe('headers', () => {
  const headers = recordHeaders([
    ['trace', 'one'],
    ['other', new Uint8Array([1])],
    ['trace', 'two'],
    ['empty', null],
  ]);

  it('give the last value of a name, all of them, or undefined', () => {
    expect(headers.text('trace')).toBe('two');
    expect(headers.getAll('trace').map((value) => Buffer.from(value!).toString())).toEqual(['one', 'two']);
    expect(headers.get('other')).toEqual(new Uint8Array([1]));
    expect([headers.get('empty'), headers.text('empty')]).toEqual([null, undefined]);
    expect([headers.get('none'), headers.text('none'), headers.getAll('none')]).toEqual([undefined, undefined, []]);
  });

  it('keep order and repeated names', () => {
    expect([...headers].map(([name]) => name)).toEqual(['trace', 'other', 'trace', 'empty']);
  });

  it('may be written as an object', () => {
    expect(recordHeaders({ a: 'ä' }).text('a')).toBe('ä');
    expect([...recordHeaders({})]).toEqual([]);
  });
});

describe('topics', () => {
  it('hold what was declared, and bytes or null as keys where nothing was', () => {
    const lines = topic('lines', { value: string });
    expect(lines.name).toBe('lines');
    expect(decode(lines.key, null, context)).toBeNull();
    expect(decode(lines.key, new Uint8Array([7]), context)).toEqual(new Uint8Array([7]));
    const orders = topic('orders', { key: int64, value: json(), numPartitions: 3, config: { 'retention.ms': 5 } });
    expect(orders).toMatchObject({ key: int64, numPartitions: 3, config: { 'retention.ms': 5 } });
    expect(topicPattern(/^orders\./, { key: string, value: string })).toMatchObject({
      pattern: /^orders\./,
      key: string,
    });
  });

  it('are frozen: a contract is shared', () => {
    expect(Object.isFrozen(topic('lines', { value: string }))).toBe(true);
  });
});

it('exports these names', () => {
  expect(Object.keys(publicNames).toSorted()).toMatchInlineSnapshot(`
    [
      "AsyncSchemaError",
      "InvalidValueError",
      "UndecodableError",
      "UnencodableError",
      "UnexpectedNullError",
      "UnsafeIntegerError",
      "bigint64",
      "bytes",
      "decode",
      "encode",
      "float64",
      "headerEntries",
      "int32",
      "int64",
      "json",
      "nullable",
      "recordHeaders",
      "sessionWindowed",
      "string",
      "topic",
      "topicPattern",
      "uuid",
      "windowed",
    ]
  `);
});
