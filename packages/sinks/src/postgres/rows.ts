import type { SinkRecord } from '@millrace/streams';
import { SinkRefusedError } from '../errors.ts';

/** What a column takes. Objects go to `json` and `jsonb`, arrays to arrays or JSON, `Uint8Array` to `bytea`. */
export type Column = string | number | bigint | boolean | Date | Uint8Array | null | readonly Column[];
export type Row = Readonly<Record<string, Column | object>>;

export interface RowMapping<K, V> {
  readonly sink: string;
  readonly key: readonly string[];
  readonly row: (value: V, key: K) => Row | null;
}

/** Rows of some records, ready for `json_populate_recordset`: the last word on each key, and on the columns that all have. */
export interface Rows {
  readonly columns: readonly string[];
  readonly upserts: readonly Readonly<Record<string, unknown>>[];
  readonly deletes: readonly Readonly<Record<string, unknown>>[];
}

/**
 * Maps records to rows. Of several rows with one key the last one counts: PostgreSQL refuses to touch a row twice in a statement.
 * @param offsetColumn gets the record's offset; undefined: no such column
 * @throws {SinkRefusedError} rows without a key column, of different columns, or a deletion whose row cannot be told
 */
export function rowsOf<K, V>(
  records: readonly SinkRecord<K, V>[],
  mapping: RowMapping<K, V>,
  offsetColumn?: string,
): Rows {
  const last = new Map<string, { readonly row: Record<string, unknown>; readonly isDelete: boolean }>();
  let columns: readonly string[] | undefined;
  for (const record of records) {
    const mapped = mapping.row(record.value, record.key);
    const row: Record<string, unknown> = {};
    if (mapped === null) {
      if (offsetColumn !== undefined)
        throw refused(mapping, record, 'the guarded tier cannot delete; use the transactional one');
      row[mapping.key[0]!] = keyColumn(mapping, record);
    } else {
      for (const [name, value] of Object.entries(mapped)) row[name] = jsonOf(value);
      if (offsetColumn !== undefined) row[offsetColumn] = record.offset;
      columns = checkedColumns(mapping, record, row, columns);
    }
    const id = JSON.stringify(mapping.key.map((name) => textOf(row[name])));
    last.delete(id);
    last.set(id, { row, isDelete: mapped === null });
  }
  const rows = [...last.values()];
  return {
    columns: columns ?? mapping.key,
    upserts: rows.filter(({ isDelete }) => !isDelete).map(({ row }) => row),
    deletes: rows.filter(({ isDelete }) => isDelete).map(({ row }) => row),
  };
}

/** A deletion has the record's key, `'1'`, where a row may have the number: PostgreSQL reads both as one. */
function textOf(column: unknown): string {
  return typeof column === 'string' ? column : JSON.stringify(column);
}

function checkedColumns<K, V>(
  mapping: RowMapping<K, V>,
  record: SinkRecord<K, V>,
  row: Readonly<Record<string, unknown>>,
  columns: readonly string[] | undefined,
): readonly string[] {
  const own = Object.keys(row);
  for (const name of mapping.key) {
    if (row[name] === undefined || row[name] === null)
      throw refused(mapping, record, `its row has no key column ${name}`);
  }
  if (columns === undefined) return own;
  const differs = own.length !== columns.length || own.some((name) => !columns.includes(name));
  if (differs) {
    throw refused(
      mapping,
      record,
      `its row has the columns ${own.join(', ')}, another has ${columns.join(', ')}; say null`,
    );
  }
  return columns;
}

/** A deletion has no row, so its key must be the record's. */
function keyColumn<K, V>(mapping: RowMapping<K, V>, record: SinkRecord<K, V>): unknown {
  const { key } = record;
  const isColumn = typeof key === 'string' || typeof key === 'number' || typeof key === 'bigint';
  if (mapping.key.length === 1 && isColumn) return jsonOf(key);
  throw refused(
    mapping,
    record,
    'it deletes, but which row? That takes one key column, which holds the record key (text or number)',
  );
}

function refused<K, V>(
  mapping: RowMapping<K, V>,
  { offset, ordinal }: SinkRecord<K, V>,
  reason: string,
): SinkRefusedError {
  return new SinkRefusedError(mapping.sink, reason, { offset, ordinal });
}

/** As JSON that PostgreSQL's input functions read back: text for what JSON has no word for. */
function jsonOf(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`;
  if (Array.isArray(value)) return value.map(jsonOf);
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, jsonOf(inner)]));
}
