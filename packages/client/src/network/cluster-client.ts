import { delay, isMillraceError, nodePlatform, type Platform } from '@millrace/platform';
import { errorCodes, apis, type InProcessEndpoint } from '@millrace/protocol';
import { setMaxListeners } from 'node:events';
import type { ConnectionOptions } from 'node:tls';
import type { ClientOptions, Cluster, SaslOptions } from '../cluster-options.ts';
import { checkPositive } from '../check-options.ts';
import { BrokerNotAvailableError, ClosedError, NodeNotAvailableError, UnknownTopicError } from '../errors.ts';
import { isRetriableErrorNumber, KafkaError } from '../kafka-error.ts';
import { formatAddress, parseAddresses, type Address } from './addresses.ts';
import { Backoff } from './backoff.ts';
import { KafkaConnection, type ConnectionSettings } from './connection.ts';
import { Metadata, type PartitionMetadata, type TopicMetadata } from './metadata.ts';
import { NodeConnections } from './node-connections.ts';
import { unlessAborted } from './unless-aborted.ts';
import { dialInProcess, dialTcp, type TransportListener } from './transport.ts';

/** A cluster as its clients need it: who is there, who leads what, and connections to them. */
export class ClusterClient {
  readonly platform: Platform;
  readonly clientId: string;
  readonly requestTimeoutMs: number;
  readonly metadata: Metadata = new Metadata();
  /** For requests that are answered at once; who waits long makes its own. */
  readonly connections: NodeConnections;
  readonly metadataMaxAgeMs: number;
  readonly unknownTopicTimeoutMs: number;
  readonly maxResponseBytes: number;
  readonly #endpoint: InProcessEndpoint | undefined;
  readonly #bootstrap: readonly Address[];
  readonly #tls: ConnectionOptions | undefined;
  readonly #settings: ConnectionSettings;
  readonly #closing = new AbortController();
  readonly #wanted = new Map<string, boolean>();
  #refreshing: Promise<void> | undefined;
  #nextRefresh: Promise<void> | undefined;

  constructor(cluster: Cluster, options: ClientOptions) {
    checkPositive(options, ['requestTimeoutMs', 'metadataMaxAgeMs', 'maxResponseBytes']);
    this.platform = options.platform ?? nodePlatform();
    this.clientId = options.clientId ?? 'millrace';
    this.requestTimeoutMs = options.requestTimeoutMs ?? 30_000;
    this.metadataMaxAgeMs = options.metadataMaxAgeMs ?? 300_000;
    this.unknownTopicTimeoutMs = options.unknownTopicTimeoutMs ?? 5_000;
    this.maxResponseBytes = options.maxResponseBytes ?? 128 * 1024 * 1024;
    let sasl: SaslOptions | undefined;
    if (isEndpoint(cluster)) {
      this.#endpoint = cluster;
      this.#bootstrap = [];
    } else {
      const servers = isServers(cluster) ? cluster : cluster.bootstrapServers;
      this.#bootstrap = parseAddresses(servers);
      if (!isServers(cluster)) {
        this.#tls = cluster.tls === true ? {} : cluster.tls;
        sasl = cluster.sasl;
      }
    }
    this.#settings = {
      clock: this.platform.clock,
      clientId: this.clientId,
      requestTimeoutMs: this.requestTimeoutMs,
      sasl,
      randomBytes: (length) => this.platform.random.bytes(length),
    };
    this.connections = new NodeConnections(this);
    // As many may wait as there are producers and consumers; each lets go of it.
    setMaxListeners(0, this.#closing.signal);
  }

  get isClosed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** Aborts when the client closes. */
  get signal(): AbortSignal {
    return this.#closing.signal;
  }

  close(): void {
    this.#closing.abort();
    this.connections.close();
  }

  /** A connection of the caller's own, unless `signal` aborts. @throws `NetworkError`, `SASL_AUTHENTICATION_FAILED`, `CLOSED` */
  async dialNode(nodeId: number, signal: AbortSignal): Promise<KafkaConnection> {
    const address = this.metadata.brokers.get(nodeId);
    if (address === undefined) throw new NodeNotAvailableError(nodeId);
    return await this.#dial(address, signal);
  }

  /** Any node that answers: an open connection, else the known nodes, else the bootstrap list. @throws `BROKER_NOT_AVAILABLE` */
  async anyConnection(): Promise<KafkaConnection> {
    const opened = this.connections.anyOpened();
    if (opened !== undefined) return opened;
    let cause: unknown;
    for (const nodeId of this.#shuffled([...this.metadata.brokers.keys()])) {
      try {
        return await this.connections.to(nodeId);
      } catch (error) {
        if (this.isClosed || isMillraceError(error, 'SASL_AUTHENTICATION_FAILED')) throw error;
        cause = error;
      }
    }
    return await this.#bootstrapConnection(cause);
  }

  /** Asks for topics anew; calls made while one is under way share the next. @throws `BROKER_NOT_AVAILABLE` */
  refresh(topics: Iterable<string> = [], options: { readonly mayCreate?: boolean } = {}): Promise<void> {
    for (const topic of topics) {
      this.#wanted.set(topic, (this.#wanted.get(topic) ?? false) || options.mayCreate === true);
    }
    this.#nextRefresh ??= this.#refreshAfter(this.#refreshing);
    return this.#nextRefresh;
  }

  /** Names of all topics, as the cluster has them now. */
  async listTopics(): Promise<readonly TopicMetadata[]> {
    const connection = await this.anyConnection();
    const answer = await connection.request(apis.metadata, { topics: null, allowAutoTopicCreation: false });
    this.#update(answer);
    return answer.topics
      .filter((topic) => topic.errorCode === errorCodes.NONE)
      .map((topic) => this.metadata.topics.get(topic.name ?? '')!);
  }

  /**
   * A topic, from the cache if it is fresh. One that is unknown is asked for again for `unknownTopicTimeoutMs`, since a
   * topic just made is not known to all brokers at once.
   * @throws `UNKNOWN_TOPIC_OR_PARTITION`, `INVALID_TOPIC_EXCEPTION`, `BROKER_NOT_AVAILABLE`
   */
  async topic(name: string, options: { readonly mayCreate?: boolean } = {}): Promise<TopicMetadata> {
    const { clock, random } = this.platform;
    const cached = this.freshTopic(name);
    if (cached !== undefined) return cached;
    const deadlineMs = clock.monotonic() + this.unknownTopicTimeoutMs;
    const backoff = new Backoff(random, 20, 500);
    for (;;) {
      await this.refresh([name], options);
      const topic = this.metadata.topics.get(name);
      const error = this.metadata.topicErrors.get(name);
      if (topic !== undefined && error === undefined) return topic;
      const isFatal = error !== undefined && !isRetriableErrorNumber(error);
      if (isFatal) throw new KafkaError(error, `Metadata of topic ${name}`, { context: { topic: name } });
      const waitMs = backoff.nextMs();
      if (clock.monotonic() + waitMs > deadlineMs) throw new UnknownTopicError(name);
      await this.pause(waitMs);
    }
  }

  /** The cached topic, unless it is older than `metadataMaxAgeMs`. */
  freshTopic(name: string): TopicMetadata | undefined {
    const topic = this.metadata.topics.get(name);
    if (topic === undefined) return undefined;
    return this.platform.clock.monotonic() - topic.loadedAtMs < this.metadataMaxAgeMs ? topic : undefined;
  }

  leaderOf(topic: string, partition: number): PartitionMetadata | undefined {
    return this.metadata.leaderOf(topic, partition);
  }

  /** Waits. @throws `CLOSED` when the client closes meanwhile */
  async pause(ms: number, signal: AbortSignal = this.signal): Promise<void> {
    await delay(this.platform.clock, ms, signal);
    if (signal.aborted) throw new ClosedError('client');
  }

  /**
   * Tries until it works, fails for good, or `timeoutMs` (default: `requestTimeoutMs`) is over; then the last error is thrown.
   * What is worth another try says so itself (`retriable`).
   */
  async retrying<T>(
    attempt: () => Promise<T>,
    options: { readonly timeoutMs?: number | undefined; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<T> {
    const { clock, random } = this.platform;
    const deadlineMs = clock.monotonic() + (options.timeoutMs ?? this.requestTimeoutMs);
    const backoff = new Backoff(random, 50, 1_000);
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        const waitMs = backoff.nextMs();
        if (!isMillraceError(error) || !error.retriable) throw error;
        if (error instanceof BrokerNotAvailableError || clock.monotonic() + waitMs > deadlineMs) throw error;
        await this.pause(waitMs, options.signal);
      }
    }
  }

  async #refreshAfter(previous: Promise<void> | undefined): Promise<void> {
    await previous?.catch(() => undefined); // told to those who asked for that one
    await Promise.resolve(); // what this turn still asks for goes along
    const wanted = [...this.#wanted];
    this.#wanted.clear();
    this.#nextRefresh = undefined;
    const names = (mayCreate: boolean): string[] => wanted.filter((w) => w[1] === mayCreate).map((w) => w[0]);
    const load = async (): Promise<void> => {
      const existing = names(false);
      const created = names(true);
      if (existing.length > 0 || created.length === 0) await this.#load(existing, false);
      if (created.length > 0) await this.#load(created, true);
    };
    this.#refreshing = load().finally(() => (this.#refreshing = undefined));
    await this.#refreshing;
  }

  async #load(names: readonly string[], mayCreate: boolean): Promise<void> {
    const { clock } = this.platform;
    const deadlineMs = clock.monotonic() + this.requestTimeoutMs;
    for (;;) {
      const connection = await this.anyConnection();
      try {
        const request = { topics: names.map((name) => ({ name })), allowAutoTopicCreation: mayCreate };
        this.#update(await connection.request(apis.metadata, request));
        return;
      } catch (error) {
        // The connection is gone; another node may answer.
        if (this.isClosed) throw new ClosedError('client');
        if (!isMillraceError(error) || !error.retriable || clock.monotonic() > deadlineMs) throw error;
      }
    }
  }

  #update(answer: Parameters<Metadata['update']>[0]): void {
    this.metadata.update(answer, this.platform.clock.monotonic());
  }

  async #bootstrapConnection(cause: unknown): Promise<KafkaConnection> {
    if (this.isClosed) throw new ClosedError('client');
    const addresses: readonly (Address | undefined)[] = this.#endpoint ? [undefined] : this.#bootstrap;
    let lastCause = cause;
    for (const address of this.#shuffled([...addresses])) {
      try {
        const connection = await this.#dial(address, this.signal);
        return await this.#adopt(connection);
      } catch (error) {
        if (this.isClosed) throw new ClosedError('client');
        if (isMillraceError(error, 'SASL_AUTHENTICATION_FAILED') || !isMillraceError(error)) throw error;
        lastCause = error;
      }
    }
    const names = this.#endpoint ? ['the embedded broker'] : this.#bootstrap.map(formatAddress);
    throw new BrokerNotAvailableError(names, lastCause);
  }

  /** A bootstrap connection serves to learn the nodes; then one to a node takes its place. */
  async #adopt(connection: KafkaConnection): Promise<KafkaConnection> {
    try {
      this.#update(await connection.request(apis.metadata, { topics: [], allowAutoTopicCreation: false }));
    } finally {
      connection.close();
    }
    let cause: unknown;
    for (const nodeId of this.#shuffled([...this.metadata.brokers.keys()])) {
      try {
        return await this.connections.to(nodeId);
      } catch (error) {
        cause = error;
      }
    }
    throw cause ?? new NodeNotAvailableError(-1);
  }

  async #dial(address: Address | undefined, signal: AbortSignal): Promise<KafkaConnection> {
    if (this.isClosed) throw new ClosedError('client');
    const endpoint = this.#endpoint;
    const dial = (listener: TransportListener): ReturnType<typeof dialTcp> | ReturnType<typeof dialInProcess> =>
      endpoint
        ? dialInProcess(endpoint, listener)
        : dialTcp(
            this.platform.network,
            {
              ...address!,
              tls: this.#tls,
              timeoutMs: Math.min(this.requestTimeoutMs, connectTimeoutMs),
              maxFrameBytes: this.maxResponseBytes,
            },
            listener,
          );
    return await unlessAborted(KafkaConnection.open(dial, this.#settings, signal), signal, 'client');
  }

  #shuffled<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = Math.floor(this.platform.random.next() * (i + 1));
      [items[i], items[j]] = [items[j]!, items[i]!];
    }
    return items;
  }
}

/** Kafka's `socket.connection.setup.timeout.ms`. */
const connectTimeoutMs = 10_000;

function isEndpoint(cluster: Cluster): cluster is InProcessEndpoint {
  return typeof cluster === 'object' && 'dial' in cluster && typeof cluster.dial === 'function';
}

function isServers(cluster: Exclude<Cluster, InProcessEndpoint>): cluster is string | readonly string[] {
  return typeof cluster === 'string' || Array.isArray(cluster);
}
