import { isMillraceError } from '@millrace/platform';
import { SeededRandom } from '@millrace/platform/simulated';
import { postgres, type PostgresOptions } from '@millrace/sinks/postgres';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { available } from '../services/availability.ts';
import { startPostgres, type PostgresServer } from '../services/postgres.ts';
import { batchOf, feedThroughFaults, taskOf } from '../sinks/sink-fixture.ts';

describe.runIf(available('postgres'))('the PostgreSQL sink', () => {
  let server: PostgresServer;
  let pool: pg.Pool;
  beforeAll(async () => {
    server = await startPostgres();
    pool = new pg.Pool({ connectionString: server.url, max: 2 });
    pool.on('error', () => undefined); // the server is restarted under it
  });
  afterAll(async () => {
    await pool?.end();
    await server?.stop();
  });
  const rowsOf = async (table: string): Promise<unknown[]> =>
    (await pool.query(`select * from ${table} order by 1, 2`)).rows;
  const options = (table: string, more: Partial<PostgresOptions<string, number | null>> = {}) => ({
    url: server.url,
    table,
    key: ['id'],
    row: (n: number | null, id: string) => (n === null ? null : { id, n }),
    ...more,
  });

  it('inserts, updates and deletes by key, the last word of a batch on each key', async () => {
    await pool.query('create table words (id text primary key, n int not null)');
    const writer = await postgres(options('words')).open(taskOf(1));
    expect(writer.nextOffset).toBe(0);
    await writer.write(
      batchOf<number | null>(0, 3, [
        [0, 'a', 1],
        [1, 'b', 2],
        [2, 'a', 3],
        [3, 'c', 4],
      ]),
    );
    await writer.write(
      batchOf<number | null>(4, 6, [
        [4, 'b', null],
        [5, 'c', null],
        [6, 'c', 5],
      ]),
    );
    await writer.write(batchOf<number | null>(7, 7, [[7, 'gone', null]]));
    await writer.flush();
    await writer.close();
    expect(await rowsOf('words')).toEqual([
      { id: 'a', n: 3 },
      { id: 'c', n: 5 },
    ]);
    const next = await postgres(options('words')).open(taskOf(2));
    expect(next.nextOffset).toBe(8);
    await next.close();
  });

  it('writes every type of column as the table has it', async () => {
    await pool.query(`create table types (id bigint primary key, b boolean, f float8, d numeric, at timestamptz, raw bytea,
      tags text[], doc jsonb, list jsonb, nothing text)`);
    const at = new Date('2026-03-01T12:00:00.123Z');
    const sink = postgres<string, number>({
      url: server.url,
      table: 'public.types',
      key: ['id'],
      row: () => ({
        id: 9_007_199_254_740_993n,
        b: true,
        f: Number.NEGATIVE_INFINITY,
        d: '12.30',
        at,
        raw: Uint8Array.of(0, 255),
        tags: ['a', 'b"c'],
        doc: { price: 1.5, nested: { at, ids: [1n] } },
        list: [1, 'x'],
        nothing: null,
      }),
    });
    const writer = await sink.open(taskOf(1));
    await writer.write(batchOf(0, 0, [[0, 'k', 1]]));
    await writer.close();
    expect(await rowsOf('types')).toEqual([
      {
        id: '9007199254740993',
        b: true,
        f: Number.NEGATIVE_INFINITY,
        d: '12.30',
        at,
        raw: Buffer.of(0, 255),
        tags: ['a', 'b"c'],
        doc: { price: 1.5, nested: { at: at.toISOString(), ids: ['1'] } },
        list: [1, 'x'],
        nothing: null,
      },
    ]);
  });

  /** Each write shows: a row that was written twice has count 2. */
  const audited = async (table: string): Promise<void> => {
    await pool.query(`create table ${table} (id text, n int, primary key (id, n))`);
    await pool.query(`create table ${table}_writes (id text, n int)`);
    await pool.query(`create function ${table}_audit() returns trigger language plpgsql as
      $$ begin insert into ${table}_writes values (new.id, new.n); return new; end $$`);
    await pool.query(
      `create trigger audit after insert or update on ${table} for each row execute function ${table}_audit()`,
    );
  };

  it('writes nothing for a batch that it has, and only the new part of one that it half has', async () => {
    await audited('replays');
    const writer = await postgres(options('replays', { key: ['id', 'n'] })).open(taskOf(1));
    await writer.write(
      batchOf<number | null>(0, 1, [
        [0, 'a', 0],
        [1, 'a', 1],
      ]),
    );
    await writer.write(
      batchOf<number | null>(0, 1, [
        [0, 'a', 0],
        [1, 'a', 1],
      ]),
    );
    await writer.write(
      batchOf<number | null>(1, 2, [
        [1, 'a', 1],
        [2, 'a', 2],
      ]),
    );
    await writer.close();
    expect(await rowsOf('replays_writes')).toEqual([0, 1, 2].map((n) => ({ id: 'a', n })));
  });

  it('takes a key for the same whether its column is told as text or as a number', async () => {
    await pool.query('create table numbered (id bigint primary key, n int)');
    const row = (n: number | null, id: string) => (n === null ? null : { id: Number(id), n });
    const writer = await postgres(options('numbered', { row })).open(taskOf(1));
    await writer.write(
      batchOf<number | null>(0, 3, [
        [0, '1', 1],
        [1, '1', null],
        [2, '2', 1],
        [3, '2', 2],
      ]),
    );
    await writer.close();
    expect(await rowsOf('numbered')).toEqual([{ id: '2', n: 2 }]);
  });

  it('does not go on where its target has gone back, as a database restored from a backup', async () => {
    await pool.query('create table restored (id text primary key, n int)');
    const writer = await postgres(options('restored')).open(taskOf(1));
    await writer.write(batchOf<number | null>(0, 4, [[0, 'a', 1]]));
    await pool.query(`update millrace_positions set next_offset = 3 where sink = 'restored'`);
    await expect(writer.write(batchOf<number | null>(5, 5, [[5, 'b', 2]]))).rejects.toMatchObject({
      code: 'SINK_POSITION_LOST',
    });
    expect(await rowsOf('restored')).toEqual([{ id: 'a', n: 1 }]);
    await writer.close();
  });

  it('stops waiting for the server when its partition is taken away, and closes', async () => {
    await pool.query('create table taken (id text primary key, n int)');
    const partition = new AbortController();
    const writer = await postgres(options('taken')).open(taskOf(1, { signal: partition.signal }));
    const locked = await pool.connect();
    await locked.query('begin; lock table taken');
    const written = writer.write(batchOf<number | null>(0, 0, [[0, 'a', 1]]));
    partition.abort(new Error('taken away'));
    await expect(written).rejects.toThrow('taken away');
    await writer.close();
    await locked.query('rollback');
    locked.release();
  });

  it('refuses an owner that was replaced, to write and to open', async () => {
    await pool.query('create table fenced (id text primary key, n int)');
    const zombie = await postgres(options('fenced')).open(taskOf(4));
    const owner = await postgres(options('fenced')).open(taskOf(5));
    await expect(zombie.write(batchOf<number | null>(0, 0, [[0, 'a', 1]]))).rejects.toMatchObject({
      code: 'FENCED',
      context: { sink: 'fenced', topic: 'orders', partition: 0, epoch: 4, storedEpoch: 5 },
    });
    await expect(postgres(options('fenced')).open(taskOf(4))).rejects.toMatchObject({ code: 'FENCED' });
    await owner.write(batchOf<number | null>(0, 0, [[0, 'a', 2]]));
    expect(await rowsOf('fenced')).toEqual([{ id: 'a', n: 2 }]);
    await zombie.close();
    await owner.close();
  });

  it('writes nothing of a batch of which one row is refused, and all of it once that is mended', async () => {
    await pool.query('create table checked (id text primary key, n int check (n < 10))');
    const writer = await postgres(options('checked')).open(taskOf(1));
    const batch = batchOf<number | null>(0, 1, [
      [0, 'a', 1],
      [1, 'b', 10],
    ]);
    await expect(writer.write(batch)).rejects.toMatchObject({
      code: 'SINK_REFUSED',
      message: expect.stringContaining('23514'),
    });
    expect(await rowsOf('checked')).toEqual([]);
    await pool.query('alter table checked drop constraint checked_n_check');
    await writer.write(batch);
    expect(await rowsOf('checked')).toHaveLength(2);
    await writer.close();
  });

  it('is busy while the server restarts, and has the batch once whatever became of the first try', async () => {
    await audited('restarts');
    const writer = await postgres(options('restarts', { key: ['id', 'n'] })).open(taskOf(1));
    await writer.write(batchOf<number | null>(0, 0, [[0, 'a', 0]]));
    const restarted = server.restart();
    for (let n = 1; n < 20; n++) {
      const batch = batchOf<number | null>(n, n, [[n, 'a', n]]);
      for (;;) {
        try {
          await writer.write(batch);
          break;
        } catch (error) {
          if (!isMillraceError(error, 'SINK_BUSY')) throw error;
          await restarted;
        }
      }
    }
    await restarted;
    expect(await rowsOf('restarts_writes')).toEqual(Array.from({ length: 20 }, (_, n) => ({ id: 'a', n })));
    await writer.close();
  });

  it('makes its table of positions once, though many partitions open at the same time', async () => {
    await pool.query('drop table millrace_positions');
    await pool.query('create table racing (id text primary key, n int)');
    const writers = await Promise.all(
      Array.from({ length: 12 }, (_, partition) => postgres(options('racing')).open(taskOf(1, { partition }))),
    );
    for (const writer of writers) await writer.close();
    expect((await pool.query(`select count(*)::int as n from millrace_positions where sink = 'racing'`)).rows).toEqual([
      { n: 12 },
    ]);
  });

  it.each([
    [999, 1],
    [1000, 1],
    [1001, 2],
  ])('writes %i rows in %i statements', async (count, statements) => {
    await pool.query('drop table if exists cut; create table cut (id text primary key, n int)');
    await pool.query(`create table if not exists cut_statements (n int); truncate cut_statements;
      create or replace function cut_audit() returns trigger language plpgsql as
      $$ begin insert into cut_statements values (1); return null; end $$;
      create trigger audit after insert on cut for each statement execute function cut_audit()`);
    const writer = await postgres(options('cut', { name: `cut-${count}` })).open(taskOf(1));
    const records = Array.from({ length: count }, (_, n) => [n, `k${n}`, n] as const);
    await writer.write(batchOf<number | null>(0, count - 1, records));
    await writer.close();
    expect(await rowsOf('cut')).toHaveLength(count);
    expect((await pool.query('select count(*)::int as n from cut_statements')).rows).toEqual([{ n: statements }]);
  });

  it('has each input once after crashes and zombies, whatever their order', async () => {
    await audited('faults');
    const random = new SeededRandom(11);
    const inputs = Array.from({ length: 400 }, (_, n) => [`k${n % 5}`, n] as const);
    const run = await feedThroughFaults(postgres(options('faults', { key: ['id', 'n'] })), inputs, () => random.next());
    const expected = inputs
      .map(([id, n]) => ({ id, n }))
      .toSorted((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : a.n - b.n));
    expect(await rowsOf('faults_writes')).toEqual(expected);
    expect(run.crashes).toBeGreaterThan(5);
    expect(run.zombieWritesRefused).toBeGreaterThan(2);
  });

  describe('in the guarded tier', () => {
    it('overwrites a row by a later record only, and needs no table of ours', async () => {
      await pool.query('create table guarded (id text primary key, n int, millrace_offset bigint not null)');
      const sink = postgres(options('guarded', { tier: 'guarded' }));
      expect(sink.tier).toBe('guarded');
      const writer = await sink.open(taskOf(1));
      expect(writer.nextOffset).toBeUndefined();
      await writer.write(
        batchOf<number | null>(5, 6, [
          [5, 'a', 1],
          [6, 'a', 2],
        ]),
      );
      await writer.write(batchOf<number | null>(5, 5, [[5, 'a', 1]])); // an old one, from a zombie or a replay
      await writer.write(batchOf<number | null>(6, 6, [[6, 'a', 9]])); // its own again
      expect(await rowsOf('guarded')).toEqual([{ id: 'a', n: 2, millrace_offset: '6' }]);
      await writer.write(batchOf<number | null>(7, 7, [[7, 'a', 3]]));
      expect(await rowsOf('guarded')).toEqual([{ id: 'a', n: 3, millrace_offset: '7' }]);
      await expect(writer.write(batchOf<number | null>(8, 8, [[8, 'a', null]]))).rejects.toMatchObject({
        code: 'SINK_REFUSED',
      });
      await writer.close();
    });
  });
});
