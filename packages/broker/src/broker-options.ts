import type { FlushMode } from '@millrace/log';
import type { Logger, Platform } from '@millrace/platform';
import type { TlsOptions } from 'node:tls';

export interface BrokerOptions {
  /** A directory (made when missing, locked while open; a relative one is looked up once), or `'memory'`: nothing on disk, gone at close. */
  readonly data: 'memory' | (string & {});
  /** TCP listeners. Default: none, the broker is reached in-process only. `port: 0` picks a free one. */
  readonly listen?: Listener | readonly Listener[] | undefined;
  /**
   * What `acks=all` waits for. `'commit'` (default): on disk, by one fdatasync for all that wait. `'interval:50'`: synced every
   * 50 ms. `'os'`: in the page cache, as Kafka does. With `data: 'memory'` it is always `'os'`.
   * @throws `INVALID_CONFIG`
   */
  readonly flush?: FlushMode | undefined;
  /** Memory for the tails of the logs, so that consumers at the head never touch the disk. Default 64 MiB. */
  readonly tailCacheMaxBytes?: number | undefined;
  /** Kafka's broker configs, under Kafka's names. @throws `UNKNOWN_CONFIG`, `INVALID_CONFIG` */
  readonly config?: Readonly<Record<string, string | number | boolean>> | undefined;
  /** Closes the broker when it aborts. */
  readonly signal?: AbortSignal | undefined;
  /** Clock, randomness, files and network. Default: the machine's. With one of your own, compaction runs in this thread. */
  readonly platform?: Platform | undefined;
  /** Default: says nothing. */
  readonly logger?: Logger | undefined;
  /**
   * Called once when the broker cannot go on, with the reason: the disk has failed (`KAFKA_STORAGE_ERROR`). By then its connections
   * are cut, and nothing that was not acknowledged may be counted on. Close it, mend the disk, open it again.
   */
  readonly onFailure?: ((error: Error) => void) | undefined;
}

export interface Listener {
  readonly port: number;
  /** Default `127.0.0.1`: reachable from this machine only. `0.0.0.0` or `::`, every address of it, needs `advertised`. */
  readonly host?: string | undefined;
  /**
   * What clients are told to connect to: `HOST`, `HOST:PORT` or `[IPV6]:PORT`. Default: `host`, and the port that is listened on.
   * @throws `INVALID_CONFIG` for what nobody can connect to, such as `0.0.0.0`
   */
  readonly advertised?: string | undefined;
  readonly tls?: TlsOptions | undefined;
}

export type BrokerErrorCode =
  | 'DATA_DIR_LOCKED'
  | 'CORRUPT_LOG'
  | 'UNKNOWN_TRANSACTION_STATE'
  | 'PORT_IN_USE'
  | 'NETWORK_ERROR'
  | 'UNKNOWN_CONFIG'
  | 'INVALID_CONFIG'
  | 'NOT_LISTENING'
  | 'NOT_IN_MEMORY'
  | 'BROKER_CLOSED'
  | 'FILE_SYSTEM_ERROR'
  | 'KAFKA_STORAGE_ERROR';
