/** `@millrace/sinks/postgres`: rows in PostgreSQL, once each. Needs the optional peer `pg`. */
export { SinkFencedError, SinkPositionLostError, SinkRefusedError } from '../errors.ts';
export { postgres, type PostgresOptions } from './postgres-sink.ts';
export type { Column, Row } from './rows.ts';
