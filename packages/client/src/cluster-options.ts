import type { Platform } from '@millrace/platform';
import type { InProcessEndpoint } from '@millrace/protocol';
import type { ConnectionOptions } from 'node:tls';

/** Where to connect: an embedded broker, an address, several, or addresses with TLS and SASL. */
export type Cluster = InProcessEndpoint | string | readonly string[] | ClusterOptions;

export interface ClusterOptions {
  /** `host:port`, or several: the first that answers tells of the others. */
  readonly bootstrapServers: string | readonly string[];
  readonly tls?: true | ConnectionOptions | undefined;
  readonly sasl?: SaslOptions | undefined;
}

export interface SaslOptions {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
  readonly username: string;
  readonly password: string;
}

export interface ClientOptions {
  /** Default `millrace`. */
  readonly clientId?: string | undefined;
  /** Default 30 000. */
  readonly requestTimeoutMs?: number | undefined;
  /** Metadata older than this is asked for anew: new partitions, new topics of a pattern. Default 300 000. */
  readonly metadataMaxAgeMs?: number | undefined;
  /** How long a topic that the cluster does not know is asked for again, before it is an error. Default 5 000. */
  readonly unknownTopicTimeoutMs?: number | undefined;
  /**
   * A larger answer fails its call with `RESPONSE_TOO_LARGE`. Fetches ask for seven eighths of it at most, but a batch of records
   * comes whole, however large. Default 128 MiB.
   */
  readonly maxResponseBytes?: number | undefined;
  /** Closes the client when it aborts. */
  readonly signal?: AbortSignal | undefined;
  /** Clock, randomness and network. Default: the machine's. */
  readonly platform?: Platform | undefined;
}
