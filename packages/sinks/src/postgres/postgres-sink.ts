import {
  SinkBusyError,
  type Sink,
  type SinkBatch,
  type SinkRecord,
  type SinkTask,
  type SinkWriter,
} from '@millrace/streams';
import pg from 'pg';
import { SinkFencedError, SinkPositionLostError, SinkRefusedError } from '../errors.ts';
import { rowsOf, type Row, type RowMapping } from './rows.ts';
import { claimPosition, createPositions, guardedStatement, offsetColumn, readPosition, writeStatement } from './sql.ts';

export interface PostgresOptions<K, V> {
  /** `postgres://user:password@host:5432/database`. */
  readonly url: string;
  /** An existing table, `schema.table` or on the search path. */
  readonly table: string;
  /** The columns of its primary key, or of a unique constraint. */
  readonly key: readonly string[];
  /**
   * The row of a record; all rows have the same columns. null deletes: then there is one key column, and it holds the record's
   * key. (A null *value* gets here if the stream's type has it.)
   */
  readonly row: (value: V, key: K) => Row | null;
  /** Under this name positions are kept; a sink of another name starts anew. Default: the table's. */
  readonly name?: string | undefined;
  /**
   * Default `'transactional'`: rows and position in one transaction (the table `millrace_positions` is made). `'guarded'`: no
   * table of ours, each row holds its position in the column `millrace_offset` (`bigint not null`), and an older one does not
   * overwrite it: right where all records of a key come from one partition. Nothing can be deleted.
   */
  readonly tier?: 'transactional' | 'guarded' | undefined;
  /** Rows in one statement. Default 1000. */
  readonly batchMaxRows?: number | undefined;
  /** Connections, shared by all partitions of this sink in this process. Default 4. */
  readonly maxConnections?: number | undefined;
}

/**
 * A table as a sink: each record becomes a row, inserted or updated by its key.
 *
 * In the transactional tier a statement writes rows and position together, if the position is what the owner of the partition
 * left. A replay finds its position taken and writes nothing; an owner that was replaced is refused (`FENCED`).
 * @throws {SinkBusyError} while PostgreSQL cannot be reached, restarts, or breaks a deadlock: the batch comes again
 * @throws {SinkRefusedError} a row that the table refuses: a constraint, a type, a missing column
 */
export function postgres<K, V>(options: PostgresOptions<K, V>): Sink<K, V> {
  const { table, key, name = table, tier = 'transactional', batchMaxRows = 1000 } = options;
  if (key.length === 0) throw new SinkRefusedError(name, 'key names no column', { table });
  if (!Number.isInteger(batchMaxRows) || batchMaxRows < 1) {
    throw new SinkRefusedError(name, `batchMaxRows is ${batchMaxRows}, and must be a whole number from 1`, { table });
  }
  const mapping: RowMapping<K, V> = { sink: name, key, row: options.row };
  const pools = new SharedPool(options.url, options.maxConnections ?? 4);
  return {
    name,
    tier,
    async open(task) {
      const pool = pools.acquire();
      try {
        return tier === 'guarded'
          ? new GuardedWriter(pool, pools, mapping, table, batchMaxRows)
          : await TransactionalWriter.open(pool, pools, mapping, table, batchMaxRows, task);
      } catch (error) {
        await pools.release();
        throw error;
      }
    },
  };
}

/** One pool for all open writers of a sink; none while it has none. */
class SharedPool {
  readonly #url: string;
  readonly #maxConnections: number;
  #pool: pg.Pool | undefined;
  #users = 0;

  constructor(url: string, maxConnections: number) {
    this.#url = url;
    this.#maxConnections = maxConnections;
  }

  acquire(): pg.Pool {
    this.#users++;
    if (this.#pool === undefined) {
      this.#pool = new pg.Pool({
        connectionString: this.#url,
        max: this.#maxConnections,
        application_name: 'millrace-sink',
        connectionTimeoutMillis: 10_000,
        keepAlive: true,
      });
      // An idle connection that breaks is left out of the pool; whoever needs one next makes it.
      this.#pool.on('error', () => undefined);
    }
    return this.#pool;
  }

  async release(): Promise<void> {
    if (--this.#users > 0) return;
    const pool = this.#pool;
    this.#pool = undefined;
    await pool?.end();
  }
}

class TransactionalWriter<K, V> implements SinkWriter<K, V> {
  readonly nextOffset: number;
  readonly #pool: pg.Pool;
  readonly #pools: SharedPool;
  readonly #mapping: RowMapping<K, V>;
  readonly #table: string;
  readonly #batchMaxRows: number;
  readonly #task: SinkTask;

  private constructor(
    pool: pg.Pool,
    pools: SharedPool,
    mapping: RowMapping<K, V>,
    table: string,
    batchMaxRows: number,
    task: SinkTask,
    nextOffset: number,
  ) {
    this.#pool = pool;
    this.#pools = pools;
    this.#mapping = mapping;
    this.#table = table;
    this.#batchMaxRows = batchMaxRows;
    this.#task = task;
    this.nextOffset = nextOffset;
  }

  static async open<K, V>(
    pool: pg.Pool,
    pools: SharedPool,
    mapping: RowMapping<K, V>,
    table: string,
    batchMaxRows: number,
    task: SinkTask,
  ): Promise<TransactionalWriter<K, V>> {
    const { applicationId, topic, partition, epoch } = task;
    const { sink } = mapping;
    try {
      await makePositions(pool);
      const claim = await pool.query<{ next_offset: string }>(claimPosition, [
        applicationId,
        sink,
        topic,
        partition,
        epoch,
      ]);
      if (claim.rows.length > 0) {
        const nextOffset = Number(claim.rows[0]!.next_offset);
        return new TransactionalWriter(pool, pools, mapping, table, batchMaxRows, task, nextOffset);
      }
      const stored = await pool.query<{ epoch: string }>(readPosition, [applicationId, sink, topic, partition]);
      throw new SinkFencedError(sink, topic, partition, epoch, Number(stored.rows[0]?.epoch));
    } catch (error) {
      throw told(error, sink, {});
    }
  }

  async write(batch: SinkBatch<K, V>): Promise<void> {
    let from = batch.firstOffset;
    for (const [records, nextOffset] of pieces(batch, this.#batchMaxRows)) {
      await this.#writePiece(records, from, nextOffset);
      from = nextOffset;
    }
  }

  async #writePiece(records: readonly SinkRecord<K, V>[], from: number, to: number): Promise<void> {
    const { applicationId, topic, partition, epoch } = this.#task;
    const { sink, key } = this.#mapping;
    const { columns, upserts, deletes } = rowsOf(records, this.#mapping);
    try {
      const identity = [applicationId, sink, topic, partition];
      const { rows } = await this.#pool.query<{ moved: number }>(writeStatement({ table: this.#table, key }, columns), [
        ...identity,
        epoch,
        from,
        to,
        JSON.stringify(upserts),
        JSON.stringify(deletes),
      ]);
      if (rows[0]!.moved === 1) return;
      const stored = (await this.#pool.query<{ epoch: string; next_offset: string }>(readPosition, identity)).rows[0];
      if (stored === undefined) throw new SinkPositionLostError(sink, topic, partition);
      if (Number(stored.epoch) !== epoch) {
        throw new SinkFencedError(sink, topic, partition, epoch, Number(stored.epoch));
      }
      // Sent again, as its outcome was not known: it had got through, whole or in part.
      const nextOffset = Number(stored.next_offset);
      if (nextOffset >= to) return;
      await this.#writePiece(
        records.filter(({ offset }) => offset >= nextOffset),
        nextOffset,
        to,
      );
    } catch (error) {
      throw told(error, sink, { firstOffset: from, nextOffset: to });
    }
  }

  /** Each `write` has committed what it wrote. */
  flush(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return this.#pools.release();
  }
}

class GuardedWriter<K, V> implements SinkWriter<K, V> {
  /** Positions are in the rows: what is written again changes nothing. */
  readonly nextOffset = undefined;
  readonly #pool: pg.Pool;
  readonly #pools: SharedPool;
  readonly #mapping: RowMapping<K, V>;
  readonly #table: string;
  readonly #batchMaxRows: number;

  constructor(pool: pg.Pool, pools: SharedPool, mapping: RowMapping<K, V>, table: string, batchMaxRows: number) {
    this.#pool = pool;
    this.#pools = pools;
    this.#mapping = mapping;
    this.#table = table;
    this.#batchMaxRows = batchMaxRows;
  }

  async write(batch: SinkBatch<K, V>): Promise<void> {
    for (const [records, nextOffset] of pieces(batch, this.#batchMaxRows)) {
      const { columns, upserts } = rowsOf(records, this.#mapping, offsetColumn);
      if (upserts.length === 0) continue;
      try {
        const statement = guardedStatement({ table: this.#table, key: this.#mapping.key }, columns);
        await this.#pool.query(statement, [JSON.stringify(upserts)]);
      } catch (error) {
        throw told(error, this.#mapping.sink, { nextOffset });
      }
    }
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return this.#pools.release();
  }
}

/** Cuts a batch between source records: the results of one record go together. Each piece with the offset after it. */
export function* pieces<K, V>(
  { records, lastOffset }: SinkBatch<K, V>,
  maxRows: number,
): Generator<readonly [records: readonly SinkRecord<K, V>[], nextOffset: number]> {
  let from = 0;
  for (let at = 1; at <= records.length; at++) {
    const isEnd = at === records.length;
    if (!isEnd && records[at]!.offset === records[at - 1]!.offset) continue;
    if (isEnd || at - from >= maxRows) {
      yield [records.slice(from, at), isEnd ? lastOffset + 1 : records[at - 1]!.offset + 1];
      from = at;
    }
  }
  if (records.length === 0) yield [records, lastOffset + 1];
}

/** Two owners may start at once, and `if not exists` is no lock: the loser of that race finds the table there. */
async function makePositions(pool: pg.Pool): Promise<void> {
  const { rows } = await pool.query<{ found: string | null }>(
    `select to_regclass('millrace_positions')::text as found`,
  );
  if (rows[0]!.found !== null) return;
  try {
    await pool.query(createPositions);
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    if (code !== '23505' && code !== '42P07' && code !== '42710') throw error;
  }
}

/** Says by class whether it is worth trying again. Errors of ours stay as they are. */
function told(error: unknown, sink: string, context: Readonly<Record<string, unknown>>): unknown {
  if (error instanceof SinkFencedError || error instanceof SinkPositionLostError || error instanceof SinkBusyError) {
    return error;
  }
  if (error instanceof SinkRefusedError) return error;
  const { code } = error as { readonly code?: unknown };
  // By SQLSTATE class: a connection (08), a rolled-back transaction (40), resources (53), an operator (57: restart, timeout).
  const sqlState = typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
  if (sqlState === undefined || /^(08|40|53|57)/.test(sqlState)) return new SinkBusyError({ retryAfterMs: 500 });
  const reason = error instanceof Error ? error.message : String(error);
  return new SinkRefusedError(sink, `PostgreSQL says: ${reason} (${sqlState})`, context, error);
}
