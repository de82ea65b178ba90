import type { ClientOptions, Cluster } from './cluster-options.ts';

/**
 *     await using client = await Client.connect('localhost:9092');
 *
 * Closing a client closes all that it made.
 */
export declare class Client {
  /** Resolves once the cluster has answered. @throws `BROKER_NOT_AVAILABLE`, `SASL_AUTHENTICATION_FAILED` */
  static connect(cluster: Cluster, options?: ClientOptions): Promise<Client>;
  private constructor();
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}
