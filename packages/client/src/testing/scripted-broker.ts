import type { Clock } from '@millrace/platform';
import {
  apiOf,
  apis,
  createInProcessPair,
  decodeRequest,
  decodeRequestHeader,
  encodeResponse,
  errorCodes,
  versionRange,
  type ApiSchema,
  type InProcessChannel,
  type InProcessEndpoint,
  type RequestOf,
  type ResponseInput,
} from '@millrace/protocol';

/** What happens to a request: an answer, `'lost'` (none ever comes), or `'cut'` (the connection breaks). */
export type Outcome<A extends ApiSchema> = ResponseInput<A> | 'lost' | 'cut';

type Handler<A extends ApiSchema> = (request: RequestOf<A>, version: number) => Outcome<A> | Promise<Outcome<A>>;

const everyonesCalls = new Set<number>([apis.apiVersions.key, apis.metadata.key, apis.findCoordinator.key]);

/**
 * A broker that answers as a test says, in this process: for what real brokers do too rarely to be tested against. It knows
 * versions, metadata and coordinators by itself; each connection's answers keep the order of its requests.
 */
export class ScriptedBroker implements InProcessEndpoint {
  /** Name → partition count. */
  readonly topics: Map<string, number> = new Map();
  /** Names of the APIs that were called, in order, less the ones that every client calls. */
  readonly calls: string[] = [];
  /** Names of all APIs, when their requests arrived: a connection's next one is looked at when the last is answered. */
  readonly arrivals: string[] = [];
  dialCount = 0;
  /** While it hangs, it takes connections and requests, and answers none. */
  isHung = false;
  readonly #clock: Clock;
  readonly #handlers = new Map<number, Handler<ApiSchema>>();
  readonly #channels = new Set<InProcessChannel>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.on(apis.apiVersions, () => ({ apiKeys: this.#served() }));
    this.on(apis.metadata, (request) => ({
      brokers: [{ nodeId: 1, host: 'scripted', port: 9092 }],
      clusterId: 'scripted',
      controllerId: 1,
      topics: (request.topics?.map((topic) => topic.name ?? '') ?? [...this.topics.keys()]).map((name) =>
        this.#describe(name),
      ),
    }));
    this.on(apis.findCoordinator, (request) => ({
      coordinators: request.coordinatorKeys.map((key) => ({ key, nodeId: 1, host: 'scripted', port: 9092 })),
    }));
    this.on(apis.initProducerId, () => ({ producerId: 7, producerEpoch: 0 }));
  }

  on<A extends ApiSchema>(api: A, handler: Handler<A>): void {
    this.#handlers.set(api.key, handler as unknown as Handler<ApiSchema>);
  }

  get connectionCount(): number {
    return this.#channels.size;
  }

  /** Breaks every connection. */
  cutAll(): void {
    for (const channel of this.#channels) channel.close();
    this.#channels.clear();
  }

  dial(): InProcessChannel {
    this.dialCount++;
    const [theirs, ours] = createInProcessPair((task) => this.#clock.defer(task));
    this.#channels.add(ours);
    let turn: Promise<void> = Promise.resolve();
    ours.onFrame((frame) => {
      this.arrivals.push(apiOf(decodeRequestHeader(frame).apiKey)!.name);
      turn = turn.then(() => this.#answer(ours, frame));
    });
    ours.onClose(() => this.#channels.delete(ours));
    return theirs;
  }

  async #answer(channel: InProcessChannel, frame: Uint8Array): Promise<void> {
    if (!this.#channels.has(channel)) return;
    const header = decodeRequestHeader(frame);
    const api = apiOf(header.apiKey)!;
    const request = decodeRequest(api, header.apiVersion, frame, header.bodyPosition);
    const outcome = await this.#outcome(api, request, header.apiVersion);
    if (outcome === 'lost' || this.isHung || !this.#channels.has(channel)) return;
    if (outcome === 'cut') {
      this.#channels.delete(channel);
      channel.close();
      return;
    }
    const { parts } = encodeResponse(api, header.apiVersion, header.correlationId, outcome);
    channel.send(Buffer.concat(parts).subarray(4));
  }

  #outcome(
    api: ApiSchema,
    request: RequestOf<ApiSchema>,
    version: number,
  ): Outcome<ApiSchema> | Promise<Outcome<ApiSchema>> {
    if (!everyonesCalls.has(api.key)) this.calls.push(api.name);
    const handler = this.#handlers.get(api.key);
    return handler === undefined ? 'cut' : handler(request, version);
  }

  #served(): { apiKey: number; minVersion: number; maxVersion: number }[] {
    return [...this.#handlers.keys()].map((apiKey) => {
      const { min, max } = versionRange(apiOf(apiKey)!);
      return { apiKey, minVersion: min, maxVersion: max };
    });
  }

  #describe(name: string): NonNullable<ResponseInput<typeof apis.metadata>['topics']>[number] {
    const partitionCount = this.topics.get(name);
    if (partitionCount === undefined) return { name, errorCode: errorCodes.UNKNOWN_TOPIC_OR_PARTITION };
    return {
      name,
      topicId: `00000000-0000-4000-8000-${String(name.length).padStart(12, '0')}`,
      partitions: Array.from({ length: partitionCount }, (_, partitionIndex) => ({
        partitionIndex,
        leaderId: 1,
        leaderEpoch: 0,
        replicaNodes: [1],
        isrNodes: [1],
      })),
    };
  }
}
