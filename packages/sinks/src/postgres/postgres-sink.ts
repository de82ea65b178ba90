import type { Sink, SinkBatch, SinkRecord, SinkTask, SinkWriter } from '@millrace/streams';
import { SinkFencedError, SinkPositionLostError, SinkRefusedError } from '../errors.ts';
import { Database, SharedPool } from './database.ts';
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
  const writing: WriterOptions<K, V> = { mapping: { sink: name, key, row: options.row }, table, batchMaxRows };
  const pools = new SharedPool(options.url, options.maxConnections ?? 4);
  return {
    name,
    tier,
    async open(task) {
      const database = new Database(pools, name, task.signal);
      try {
        return tier === 'guarded'
          ? new GuardedWriter(database, writing)
          : await TransactionalWriter.open(database, writing, task);
      } catch (error) {
        await database.close();
        throw error;
      }
    },
  };
}

interface WriterOptions<K, V> {
  readonly mapping: RowMapping<K, V>;
  readonly table: string;
  readonly batchMaxRows: number;
}

class TransactionalWriter<K, V> implements SinkWriter<K, V> {
  readonly nextOffset: number;
  readonly #database: Database;
  readonly #options: WriterOptions<K, V>;
  readonly #task: SinkTask;
  /** What it has written: a target that has less has gone back. */
  #writtenOffset: number;

  private constructor(database: Database, options: WriterOptions<K, V>, task: SinkTask, nextOffset: number) {
    this.#database = database;
    this.#options = options;
    this.#task = task;
    this.nextOffset = nextOffset;
    this.#writtenOffset = nextOffset;
  }

  static async open<K, V>(
    database: Database,
    options: WriterOptions<K, V>,
    task: SinkTask,
  ): Promise<TransactionalWriter<K, V>> {
    const { applicationId, topic, partition, epoch } = task;
    const { sink } = options.mapping;
    const identity = [applicationId, sink, topic, partition];
    await makePositions(database);
    const [claim] = await database.query<{ next_offset: string }>(claimPosition, [...identity, epoch]);
    if (claim !== undefined) return new TransactionalWriter(database, options, task, Number(claim.next_offset));
    const [stored] = await database.query<{ epoch: string }>(readPosition, identity);
    throw new SinkFencedError(sink, topic, partition, epoch, Number(stored?.epoch));
  }

  async write(batch: SinkBatch<K, V>): Promise<void> {
    let from = batch.firstOffset;
    for (const [records, nextOffset] of pieces(batch, this.#options.batchMaxRows)) {
      await this.#writePiece(records, from, nextOffset);
      this.#writtenOffset = Math.max(this.#writtenOffset, nextOffset);
      from = nextOffset;
    }
  }

  async #writePiece(records: readonly SinkRecord<K, V>[], from: number, to: number): Promise<void> {
    const { applicationId, topic, partition, epoch } = this.#task;
    const { mapping, table } = this.#options;
    const { sink, key } = mapping;
    const { columns, upserts, deletes } = rowsOf(records, mapping);
    const identity = [applicationId, sink, topic, partition];
    const [written] = await this.#database.query<{ moved: number }>(
      writeStatement({ table, key }, columns),
      [...identity, epoch, from, to, JSON.stringify(upserts), JSON.stringify(deletes), this.#writtenOffset],
      { firstOffset: from, nextOffset: to },
    );
    if (written!.moved === 1) return;
    const [stored] = await this.#database.query<{ epoch: string; next_offset: string }>(readPosition, identity);
    if (stored === undefined) throw new SinkPositionLostError(sink, topic, partition);
    if (Number(stored.epoch) !== epoch) throw new SinkFencedError(sink, topic, partition, epoch, Number(stored.epoch));
    // Sent again, as its outcome was not known: it had got through, whole or in part.
    const nextOffset = Number(stored.next_offset);
    if (nextOffset >= to) return;
    if (nextOffset < this.#writtenOffset) throw new SinkPositionLostError(sink, topic, partition);
    await this.#writePiece(
      records.filter(({ offset }) => offset >= nextOffset),
      nextOffset,
      to,
    );
  }

  /** Each `write` has committed what it wrote. */
  flush(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return this.#database.close();
  }
}

class GuardedWriter<K, V> implements SinkWriter<K, V> {
  /** Positions are in the rows: what is written again changes nothing. */
  readonly nextOffset = undefined;
  readonly #database: Database;
  readonly #options: WriterOptions<K, V>;

  constructor(database: Database, options: WriterOptions<K, V>) {
    this.#database = database;
    this.#options = options;
  }

  async write(batch: SinkBatch<K, V>): Promise<void> {
    const { mapping, table, batchMaxRows } = this.#options;
    for (const [records, nextOffset] of pieces(batch, batchMaxRows)) {
      const { columns, upserts } = rowsOf(records, mapping, offsetColumn);
      if (upserts.length === 0) continue;
      const statement = guardedStatement({ table, key: mapping.key }, columns);
      await this.#database.query(statement, [JSON.stringify(upserts)], { nextOffset });
    }
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return this.#database.close();
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
async function makePositions(database: Database): Promise<void> {
  const [found] = await database.query<{ found: string | null }>(
    `select to_regclass('millrace_positions')::text as found`,
    [],
  );
  if (found!.found !== null) return;
  try {
    await database.query(createPositions, []);
  } catch (error) {
    const { code } = ((error as Error).cause ?? {}) as { readonly code?: unknown };
    if (code !== '23505' && code !== '42P07' && code !== '42710') throw error;
  }
}
