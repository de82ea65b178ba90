import { isMillraceError } from '@millrace/platform';
import { SinkBusyError } from '@millrace/streams';
import pg from 'pg';
import { SinkRefusedError } from '../errors.ts';
import { unlessAborted } from '../unless-aborted.ts';

/** One pool for all open writers of a sink; none while it has none. */
export class SharedPool {
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

/** The pool as one writer uses it: nothing is waited for any more when its partition is taken away. */
export class Database {
  readonly #pools: SharedPool;
  readonly #pool: pg.Pool;
  readonly #sink: string;
  readonly #signal: AbortSignal;

  constructor(pools: SharedPool, sink: string, signal: AbortSignal) {
    this.#pools = pools;
    this.#pool = pools.acquire();
    this.#sink = sink;
    this.#signal = signal;
  }

  /**
   * @param context of a refusal
   * @throws {SinkBusyError} @throws {SinkRefusedError}
   */
  async query<R extends pg.QueryResultRow>(text: string, values: unknown[], context: object = {}): Promise<R[]> {
    try {
      return await this.#query<R>(text, values);
    } catch (error) {
      if (this.#signal.aborted) throw this.#signal.reason;
      throw told(error, this.#sink, context);
    }
  }

  async #query<R extends pg.QueryResultRow>(text: string, values: unknown[]): Promise<R[]> {
    const connecting = this.#pool.connect();
    let client: pg.PoolClient;
    try {
      client = await unlessAborted(this.#signal, connecting);
    } catch (error) {
      connecting.then(
        (late) => late.release(),
        () => undefined, // that is the error at hand
      );
      throw error;
    }
    const onError = (): void => undefined; // the query hears of it
    client.on('error', onError);
    let isBroken = true;
    try {
      const { rows } = await unlessAborted(this.#signal, client.query<R>(text, values));
      isBroken = false;
      return rows;
    } finally {
      client.off('error', onError);
      client.release(isBroken); // broken: its socket is closed, whatever the server is at
    }
  }

  close(): Promise<void> {
    return this.#pools.release();
  }
}

/**
 * Errors with which the same statement may succeed later. By SQLSTATE: a connection (08), a server that takes no writes for now
 * (25006: a primary that was demoted), a rolled-back transaction (40), resources (53), a lock (55P03), an operator (57: restart,
 * timeout).
 */
const passing = /^(08|25006|40|53|55P03|57)/;

/** Says whether it is worth trying again. Errors of ours stay as they are; what is not of the server is of the connection. */
export function told(error: unknown, sink: string, context: object): unknown {
  if (isMillraceError(error)) return error;
  if (!(error instanceof pg.DatabaseError) || passing.test(error.code ?? '')) {
    return new SinkBusyError({ retryAfterMs: 500, cause: error });
  }
  return new SinkRefusedError(sink, `PostgreSQL says: ${error.message} (${error.code})`, { ...context }, error);
}
