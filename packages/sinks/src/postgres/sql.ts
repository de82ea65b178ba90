/** A name as PostgreSQL quotes it; `schema.table` keeps its dot. */
export function quoted(name: string): string {
  return name
    .split('.')
    .map((part) => `"${part.replaceAll('"', '""')}"`)
    .join('.');
}

export const createPositions: string = `create table if not exists millrace_positions (
  application text not null, sink text not null, topic text not null, partition integer not null,
  epoch bigint not null, next_offset bigint not null,
  primary key (application, sink, topic, partition))`;

/** $1 application, $2 sink, $3 topic, $4 partition, $5 epoch. No row back: a later owner has it. */
export const claimPosition: string = `insert into millrace_positions as p values ($1, $2, $3, $4, $5, 0)
  on conflict (application, sink, topic, partition) do update set epoch = excluded.epoch where p.epoch <= excluded.epoch
  returning next_offset`;

export const readPosition: string = `select epoch, next_offset from millrace_positions
  where (application, sink, topic, partition) = ($1, $2, $3, $4)`;

interface Target {
  readonly table: string;
  readonly key: readonly string[];
}

/**
 * Rows and position in one statement, so in one transaction and one round trip; and no owner that is stopped at a bad moment
 * leaves a transaction open, whose lock on the position would keep its successor out.
 *
 * $1 to $5 as in `claimPosition`, $6 first and $7 next offset, $8 rows to write, $9 rows to delete, both as JSON, $10 what the owner
 * has written. Answers 0 if the position was not moved, and then nothing was written. Types are the table's own: JSON is read by `json_populate_recordset`.
 */
export function writeStatement({ table, key }: Target, columns: readonly string[]): string {
  const target = quoted(table);
  const names = columns.map(quoted).join(', ');
  return `with moved as (
    update millrace_positions set next_offset = $7
    where (application, sink, topic, partition) = ($1, $2, $3, $4) and epoch = $5 and next_offset between $10 and $6
    returning 1
  ), deleted as (
    delete from ${target} as t using json_populate_recordset(null::${target}, $9::json) as d
    where exists (select from moved) and ${key.map((name) => `t.${quoted(name)} = d.${quoted(name)}`).join(' and ')}
  ), written as (
    insert into ${target} (${names})
    select ${names} from json_populate_recordset(null::${target}, $8::json) where exists (select from moved)
    ${onConflict(key, columns, '')}
  ) select count(*)::integer as moved from moved`;
}

/** The column of the guarded tier. */
export const offsetColumn = 'millrace_offset';

/** $1 rows to write. A row that has a later offset is left as it is. */
export function guardedStatement({ table, key }: Target, columns: readonly string[]): string {
  const target = quoted(table);
  const names = columns.map(quoted).join(', ');
  const guard = ` where t.${quoted(offsetColumn)} < excluded.${quoted(offsetColumn)}`;
  return `insert into ${target} as t (${names})
    select ${names} from json_populate_recordset(null::${target}, $1::json) ${onConflict(key, columns, guard)}`;
}

function onConflict(key: readonly string[], columns: readonly string[], guard: string): string {
  const others = columns.filter((name) => !key.includes(name));
  const updates = others.map((name) => `${quoted(name)} = excluded.${quoted(name)}`).join(', ');
  const action = others.length === 0 ? 'do nothing' : `do update set ${updates}${guard}`;
  return `on conflict (${key.map(quoted).join(', ')}) ${action}`;
}
