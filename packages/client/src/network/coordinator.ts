import { errorCodes, apis, type ApiSchema, type RequestInput, type ResponseOf } from '@millrace/protocol';
import { KafkaError } from '../kafka-error.ts';
import type { ClusterClient } from './cluster-client.ts';
import type { KafkaConnection } from './connection.ts';
import type { NodeConnections } from './node-connections.ts';

const keyTypes = { group: 0, transaction: 1 } as const;

/** The broker that looks after one group, or one transactional id. It is looked for when first needed, and after `lost`. */
export class Coordinator {
  readonly #cluster: ClusterClient;
  readonly #connections: NodeConnections;
  readonly #kind: keyof typeof keyTypes;
  readonly #key: string;
  #nodeId: number | undefined;

  constructor(cluster: ClusterClient, connections: NodeConnections, kind: keyof typeof keyTypes, key: string) {
    this.#cluster = cluster;
    this.#connections = connections;
    this.#kind = kind;
    this.#key = key;
  }

  /** @throws a retriable error while there is none */
  async connection(): Promise<KafkaConnection> {
    this.#nodeId ??= await this.#find();
    try {
      return await this.#connections.to(this.#nodeId);
    } catch (error) {
      this.lost();
      throw error;
    }
  }

  /** One try; a lost connection forgets the coordinator. Error codes in the answer are the caller's to read. */
  async request<A extends ApiSchema>(
    api: A,
    request: RequestInput<A>,
    options: { readonly timeoutMs?: number | undefined } = {},
  ): Promise<ResponseOf<A>> {
    const connection = await this.connection();
    try {
      return await connection.request(api, request, options);
    } catch (error) {
      if (connection.isClosed) this.lost();
      throw error;
    }
  }

  lost(): void {
    this.#nodeId = undefined;
  }

  /** Forgets the coordinator if `errorNumber` says that it is another one, or none. */
  heed(errorNumber: number): void {
    if (errorNumber === errorCodes.NOT_COORDINATOR || errorNumber === errorCodes.COORDINATOR_NOT_AVAILABLE) {
      this.lost();
    }
  }

  async #find(): Promise<number> {
    const connection = await this.#cluster.anyConnection();
    const answer = await connection.request(
      apis.findCoordinator,
      // Version 4 takes several keys (KIP-699); the versions before it, one.
      connection.serves(apis.findCoordinator, 4)
        ? { keyType: keyTypes[this.#kind], coordinatorKeys: [this.#key] }
        : { keyType: keyTypes[this.#kind], key: this.#key },
    );
    const found = answer.coordinators[0] ?? answer;
    if (found.errorCode !== errorCodes.NONE) {
      throw new KafkaError(found.errorCode, `FindCoordinator of the ${this.#kind} ${this.#key}`, {
        context: { [this.#kind]: this.#key },
        serverMessage: found.errorMessage,
      });
    }
    // It may be newer than what the metadata told.
    if (!this.#cluster.metadata.brokers.has(found.nodeId)) {
      this.#cluster.metadata.brokers.set(found.nodeId, { host: found.host, port: found.port });
    }
    return found.nodeId;
  }
}
