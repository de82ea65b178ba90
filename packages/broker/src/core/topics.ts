import { PartitionLog, type GroupCommit, type LogConfig, type TailCache } from '@millrace/log';
import { uuid, uuidBytes, type Clock, type FileSystem, type Logger, type Random } from '@millrace/platform';
import { boundedParallel } from './bounded-parallel.ts';
import type { BrokerConfig } from './broker-config.ts';
import { RequestRefusedError } from './errors.ts';
import { KeyedQueue } from './keyed-queue.ts';
import { MetadataLog } from './metadata-log.ts';
import type { MetadataKey, MetadataValue, TopicValue } from './metadata-records.ts';
import type { InternalTopicOptions, Partitions, Topic } from './partitions.ts';
import { ProducerIdBlocks, type ProducerIds } from './producer-ids.ts';
import { clearStrays } from './stray-directories.ts';
import { logConfigOf, topicConfigsFrom, type TopicConfigs } from './topic-config.ts';
import { collisionKey, isInternalTopic, metadataTopic, validateTopicName } from './topic-names.ts';

export interface TopicsOptions {
  /** Where the logs lie. */
  readonly directory: string;
  readonly files: FileSystem;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly config: BrokerConfig;
  readonly commits: GroupCommit;
  readonly tailCache: TailCache;
  /** The epoch written by the last clean close; undefined: there was none. */
  readonly closedCleanlyAt: number | undefined;
  /** Given to a data directory that has none yet. Default: a random one. */
  readonly clusterId?: string | undefined;
}

export interface NewTopic {
  readonly name: string;
  /** −1: `num.partitions`. */
  readonly partitionCount: number;
  /** −1: `default.replication.factor`. */
  readonly replicationFactor: number;
  readonly configs: Iterable<readonly [name: string, text: string]>;
}

/** A topic with what only this module changes. */
export class TopicState implements Topic {
  readonly name: string;
  readonly topicId: string;
  readonly isInternal: boolean;
  readonly logs: PartitionLog[];
  configs: TopicConfigs;

  constructor(name: string, topicId: string, logs: PartitionLog[], configs: TopicConfigs) {
    this.name = name;
    this.topicId = topicId;
    this.isInternal = isInternalTopic(name);
    this.logs = logs;
    this.configs = configs;
  }
}

/**
 * The topics of a broker, and their logs. The metadata log is the truth: a topic exists once its record is durable, and is gone
 * once the record of its deletion is. Directories follow: they are made before the first, and removed after the second, and what a
 * crash leaves between is cleared at the next start.
 */
export class Topics implements Partitions {
  /** 22 letters, as Kafka's. */
  readonly clusterId: string;
  /** How often the data directory was opened. */
  readonly brokerEpoch: number;
  readonly producerIds: ProducerIds;
  readonly #options: TopicsOptions;
  readonly #metadata: MetadataLog;
  readonly #byName: Map<string, TopicState> = new Map<string, TopicState>();
  readonly #byId: Map<string, TopicState> = new Map<string, TopicState>();
  readonly #nameByCollisionKey: Map<string, string> = new Map<string, string>();
  readonly #deletedListeners: Set<(topic: Topic) => void> = new Set<(topic: Topic) => void>();
  /** Changes of topics with one collision key happen one after the other. */
  readonly #changes: KeyedQueue = new KeyedQueue();
  #partitionCount = 0;
  readonly #closedCleanly: boolean;

  private constructor(options: TopicsOptions, metadata: MetadataLog, state: ReplayedState, closedCleanly: boolean) {
    this.#options = options;
    this.#metadata = metadata;
    this.#closedCleanly = closedCleanly;
    this.clusterId =
      state.clusterId ?? options.clusterId ?? Buffer.from(uuidBytes(options.random)).toString('base64url');
    this.brokerEpoch = state.brokerEpoch + 1;
    this.producerIds = new ProducerIdBlocks(state.nextProducerId, (nextProducerId) =>
      metadata.append([[{ subject: 'producerIds' }, { subject: 'producerIds', nextProducerId }]]),
    );
  }

  /**
   * Reads the metadata, finishes what a crash interrupted, and opens every log, several side by side.
   * @throws `CorruptLogError`, `FileSystemError`
   */
  static async open(options: TopicsOptions): Promise<Topics> {
    const state: ReplayedState = { clusterId: undefined, brokerEpoch: 0, nextProducerId: 0, topics: new Map() };
    const metadata = await MetadataLog.open(
      {
        ...options,
        topic: metadataTopic,
        partition: 0,
        directory: `${options.directory}/${metadataTopic}-0`,
        topicId: '00000000-0000-0000-0000-000000000001',
        config: metadataLogConfig(options.config),
        // It tells which epoch this is, so it cannot be trusted by the epoch. What is looked through begins where it was last synced:
        // 0.5 ms at a start after a clean close.
        wasClosedCleanly: false,
      },
      (key, value) => replay(state, key, value),
    );
    // A mark of another epoch came with a copy of the directory: what it vouches for is not what is here.
    const closedCleanly = options.closedCleanlyAt !== undefined && options.closedCleanlyAt === state.brokerEpoch;
    const topics = new Topics(options, metadata, state, closedCleanly);
    try {
      await topics.#start(state);
      return topics;
    } catch (error) {
      await topics
        .close()
        .catch((closing: unknown) => options.logger.error({ error: closing }, 'closing the logs failed'));
      throw error;
    }
  }

  async #start(state: ReplayedState): Promise<void> {
    const { directory, files, logger } = this.#options;
    const changes: [MetadataKey, MetadataValue | null][] = [
      [{ subject: 'cluster' }, { subject: 'cluster', clusterId: this.clusterId, brokerEpoch: this.brokerEpoch }],
    ];
    const expected = new Set<string>([`${metadataTopic}-0`]);
    const toOpen: { readonly topic: TopicState; readonly partition: number; readonly config: LogConfig }[] = [];
    for (const [topicId, value] of state.topics) {
      if (value.isDeleting) {
        for (let index = 0; index < value.partitionCount; index++) files.remove(`${directory}/${value.name}-${index}`);
        changes.push([{ subject: 'topic', topicId }, null]);
        logger.info(
          { topic: value.name, topicId },
          'the deletion of a topic, interrupted by the last stop, is finished',
        );
        continue;
      }
      const topic = new TopicState(value.name, topicId, [], value.configs);
      const config = logConfigOf(value.configs, this.#options.config);
      this.#publish(topic);
      for (let partition = 0; partition < value.partitionCount; partition++) {
        expected.add(`${value.name}-${partition}`);
        toOpen.push({ topic, partition, config });
      }
    }
    clearStrays({ directory, files, logger, expected });
    // Before the records that say that they are gone: else a crash could bring directories back that nobody owns.
    if (changes.length > 1) await files.syncDirectory(directory);
    this.#partitionCount = toOpen.length;
    await boundedParallel(
      toOpen,
      this.#options.config['num.recovery.threads.per.data.dir'],
      async ({ topic, partition, config }) => {
        topic.logs[partition] = await this.#openLog(topic, partition, config);
      },
    );
    await this.#metadata.append(changes);
  }

  log(topic: string, partition: number): PartitionLog | undefined {
    return this.#byName.get(topic)?.logs[partition];
  }

  topic(name: string): TopicState | undefined {
    return this.#byName.get(name);
  }

  topicById(topicId: string): TopicState | undefined {
    return this.#byId.get(topicId);
  }

  all(): Iterable<TopicState> {
    return this.#byName.values();
  }

  get topicCount(): number {
    return this.#byName.size;
  }

  /** Of all topics, internal ones included. */
  get partitionCount(): number {
    return this.#partitionCount;
  }

  /** The log that holds the metadata: it is compacted like any other, and no topic. */
  get metadataLog(): PartitionLog {
    return this.#metadata.log;
  }

  onTopicDeleted(listener: (topic: Topic) => void): () => void {
    this.#deletedListeners.add(listener);
    return () => void this.#deletedListeners.delete(listener);
  }

  /**
   * What a new topic would get, and whether it could be made now.
   * @throws {RequestRefusedError} `INVALID_TOPIC_EXCEPTION`, `TOPIC_ALREADY_EXISTS`, `INVALID_PARTITIONS`,
   * `INVALID_REPLICATION_FACTOR`, `INVALID_CONFIG`, `POLICY_VIOLATION`
   */
  validate(wanted: NewTopic): { readonly partitionCount: number; readonly configs: TopicConfigs } {
    const { name } = wanted;
    validateTopicName(name);
    if (isInternalTopic(name)) {
      throw new RequestRefusedError(
        'INVALID_TOPIC_EXCEPTION',
        `${name} is made by the broker when it is first needed.`,
      );
    }
    this.#refuseTaken(name);
    const { config } = this.#options;
    const partitionCount = wanted.partitionCount === -1 ? config['num.partitions'] : wanted.partitionCount;
    if (partitionCount < 1) {
      throw new RequestRefusedError(
        'INVALID_PARTITIONS',
        `Topic ${name} cannot have ${partitionCount} partitions: give at least 1, or -1 for num.partitions.`,
      );
    }
    this.#refuseFactor(name, wanted.replicationFactor);
    const configs = topicConfigsFrom(wanted.configs);
    logConfigOf(configs, config);
    this.#refuseTooMany(name, partitionCount);
    return { partitionCount, configs };
  }

  /** Makes a topic: it can be used, and would survive a crash, when this resolves. @throws as `validate` */
  create(wanted: NewTopic): Promise<Topic> {
    return this.#changes.run(collisionKey(wanted.name), async () => {
      const { partitionCount, configs } = this.validate(wanted);
      return await this.#make(wanted.name, partitionCount, configs);
    });
  }

  /** The topic, made with the broker's defaults if it is missing. Any number of callers at once share one creation. */
  async createIfMissing(name: string): Promise<Topic> {
    const existing = this.#byName.get(name);
    if (existing !== undefined) return existing;
    try {
      return await this.create({ name, partitionCount: -1, replicationFactor: -1, configs: [] });
    } catch (error) {
      const made = this.#byName.get(name);
      if (made !== undefined) return made;
      throw error;
    }
  }

  ensureInternalTopic(name: string, options: InternalTopicOptions): Promise<Topic> {
    const existing = this.#byName.get(name);
    if (existing !== undefined) return Promise.resolve(existing);
    return this.#changes.run(name, async () => {
      const configs = topicConfigsFrom(Object.entries(options.configs));
      return this.#byName.get(name) ?? (await this.#make(name, options.partitionCount, configs));
    });
  }

  /**
   * Deletes a topic: no request sees it any more from the turn of the call in which its turn comes, and its name is free when
   * this resolves.
   * @param topicId deletes that topic alone, and none that was made under the name meanwhile
   * @throws {RequestRefusedError} `UNKNOWN_TOPIC_OR_PARTITION`, `UNKNOWN_TOPIC_ID`, `TOPIC_DELETION_DISABLED`, `INVALID_TOPIC_EXCEPTION`
   */
  delete(name: string, topicId?: string): Promise<Topic> {
    return this.#changes.run(collisionKey(name), async () => {
      const topic = topicId === undefined ? this.#existing(name) : this.#existingById(topicId);
      if (!this.#options.config['delete.topic.enable']) {
        throw new RequestRefusedError('TOPIC_DELETION_DISABLED', 'Deleting topics is disabled: delete.topic.enable.');
      }
      if (topic.isInternal) {
        throw new RequestRefusedError('INVALID_TOPIC_EXCEPTION', `${name} is internal: it cannot be deleted.`);
      }
      this.#byName.delete(name);
      this.#byId.delete(topic.topicId);
      for (const listener of this.#deletedListeners) listener(topic);
      const key: MetadataKey = { subject: 'topic', topicId: topic.topicId };
      await this.#metadata.append([[key, { ...valueOf(topic), isDeleting: true }]]);
      await boundedParallel(topic.logs, 8, (log) => log.delete());
      await this.#metadata.append([[key, null]]);
      this.#nameByCollisionKey.delete(collisionKey(name));
      this.#partitionCount -= topic.logs.length;
      return topic;
    });
  }

  /**
   * Gives a topic more partitions, empty ones.
   * @throws {RequestRefusedError} `UNKNOWN_TOPIC_OR_PARTITION`, `INVALID_PARTITIONS`, `INVALID_TOPIC_EXCEPTION`, `POLICY_VIOLATION`
   */
  addPartitions(
    name: string,
    partitionCount: number,
    options: { readonly validateOnly: boolean } = { validateOnly: false },
  ): Promise<void> {
    return this.#changes.run(collisionKey(name), async () => {
      const topic = this.#existing(name);
      const before = topic.logs.length;
      if (topic.isInternal) {
        throw new RequestRefusedError(
          'INVALID_TOPIC_EXCEPTION',
          `${name} is internal: its keys would move to other partitions.`,
        );
      }
      if (partitionCount <= before) {
        throw new RequestRefusedError(
          'INVALID_PARTITIONS',
          `Topic ${name} has ${before} partitions already: only a greater number can be set.`,
        );
      }
      this.#refuseTooMany(name, partitionCount - before);
      if (options.validateOnly) return;
      const config = logConfigOf(topic.configs, this.#options.config);
      this.#partitionCount += partitionCount - before;
      try {
        const logs = await this.#openLogs(topic, before, partitionCount, config);
        await this.#record(topic, { ...valueOf(topic), partitionCount }, logs);
        topic.logs.push(...logs);
      } catch (error) {
        this.#partitionCount -= partitionCount - before;
        throw error;
      }
    });
  }

  /**
   * Changes a topic's configs: `change` gets those it has, and gives those it shall have.
   * @throws {RequestRefusedError} `UNKNOWN_TOPIC_OR_PARTITION`; and what `change` throws
   */
  changeConfigs(
    name: string,
    change: (configs: TopicConfigs) => Iterable<readonly [name: string, text: string]>,
    options: { readonly validateOnly: boolean } = { validateOnly: false },
  ): Promise<void> {
    return this.#changes.run(collisionKey(name), async () => {
      const topic = this.#existing(name);
      const configs = topicConfigsFrom(change(topic.configs));
      const config = logConfigOf(configs, this.#options.config);
      if (options.validateOnly) return;
      await this.#metadata.append([
        [
          { subject: 'topic', topicId: topic.topicId },
          { ...valueOf(topic), configs },
        ],
      ]);
      topic.configs = configs;
      for (const log of topic.logs) log.setConfig(config);
    });
  }

  /** Waits for changes under way, then closes the logs, the others too where one fails. Nothing may be appended any more. */
  async close(): Promise<void> {
    await this.#changes.idle();
    const opened = [...this.#byName.values()].flatMap((topic) => topic.logs.filter((log) => log !== undefined));
    const failures: unknown[] = [];
    await boundedParallel([...opened, this.#metadata.log], 8, (log) =>
      log.close().catch((error: unknown) => void failures.push(error)),
    );
    if (failures.length > 0) throw failures[0];
  }

  async #make(name: string, partitionCount: number, configs: TopicConfigs): Promise<Topic> {
    this.#partitionCount += partitionCount;
    try {
      const topic = new TopicState(name, uuid(this.#options.random), [], configs);
      topic.logs.push(...(await this.#openLogs(topic, 0, partitionCount, logConfigOf(configs, this.#options.config))));
      await this.#record(topic, valueOf(topic), topic.logs);
      this.#publish(topic);
      return topic;
    } catch (error) {
      this.#partitionCount -= partitionCount;
      throw error;
    }
  }

  /** Makes durable that a topic has new logs. If that fails, they are removed. */
  async #record(topic: TopicState, value: TopicValue, newLogs: readonly PartitionLog[]): Promise<void> {
    try {
      await this.#metadata.append([[{ subject: 'topic', topicId: topic.topicId }, value]]);
    } catch (error) {
      await Promise.allSettled(newLogs.map((log) => log.delete()));
      throw error;
    }
  }

  /** All or none: where one fails, what was made before it is removed, and the half of it. */
  async #openLogs(topic: TopicState, from: number, to: number, config: LogConfig): Promise<PartitionLog[]> {
    const made: PartitionLog[] = [];
    const numbers = Array.from({ length: to - from }, (_, index) => from + index);
    try {
      return await boundedParallel(numbers, 8, async (partition) => {
        const log = await this.#openLog(topic, partition, config);
        made.push(log);
        return log;
      });
    } catch (error) {
      await Promise.allSettled(made.map((log) => log.delete()));
      for (const partition of numbers) this.#options.files.remove(this.#directoryOf(topic, partition));
      throw error;
    }
  }

  #directoryOf(topic: TopicState, partition: number): string {
    return `${this.#options.directory}/${topic.name}-${partition}`;
  }

  #openLog(topic: TopicState, partition: number, config: LogConfig): Promise<PartitionLog> {
    const { files, clock, commits, tailCache, logger } = this.#options;
    return PartitionLog.open({
      topic: topic.name,
      partition,
      directory: this.#directoryOf(topic, partition),
      topicId: topic.topicId,
      files,
      clock,
      commits,
      config,
      tailCache,
      wasClosedCleanly: this.#closedCleanly,
      logger,
    });
  }

  #publish(topic: TopicState): void {
    this.#byName.set(topic.name, topic);
    this.#byId.set(topic.topicId, topic);
    this.#nameByCollisionKey.set(collisionKey(topic.name), topic.name);
  }

  #existing(name: string): TopicState {
    const topic = this.#byName.get(name);
    if (topic !== undefined) return topic;
    throw new RequestRefusedError('UNKNOWN_TOPIC_OR_PARTITION', `There is no topic ${name}.`, {
      context: { topic: name },
    });
  }

  #existingById(topicId: string): TopicState {
    const topic = this.#byId.get(topicId);
    if (topic !== undefined) return topic;
    throw new RequestRefusedError('UNKNOWN_TOPIC_ID', `There is no topic ${topicId}.`, { context: { topicId } });
  }

  #refuseTaken(name: string): void {
    const taken = this.#nameByCollisionKey.get(collisionKey(name));
    if (taken === undefined) return;
    if (taken === name) throw new RequestRefusedError('TOPIC_ALREADY_EXISTS', `Topic ${name} exists already.`);
    throw new RequestRefusedError(
      'INVALID_TOPIC_EXCEPTION',
      `Topic ${name} collides with ${taken}: names that differ in "." and "_" alone are one name in metrics.`,
    );
  }

  #refuseFactor(name: string, replicationFactor: number): void {
    if (replicationFactor === -1 || replicationFactor === 1) return;
    if (replicationFactor > 1 && this.#options.config['millrace.replication.factor.clamp']) return;
    throw new RequestRefusedError(
      'INVALID_REPLICATION_FACTOR',
      `Topic ${name} cannot have ${replicationFactor} replicas: there is one broker. Ask for 1, or for -1.`,
    );
  }

  #refuseTooMany(name: string, added: number): void {
    const limit = this.#options.config['millrace.max.partitions'];
    if (this.#partitionCount + added <= limit) return;
    throw new RequestRefusedError(
      'POLICY_VIOLATION',
      `${added} more partitions for ${name} exceed millrace.max.partitions (${limit}; there are ${this.#partitionCount}). ` +
        'Delete topics, or raise the limit.',
    );
  }
}

interface ReplayedState {
  clusterId: string | undefined;
  brokerEpoch: number;
  nextProducerId: number;
  readonly topics: Map<string, TopicValue>;
}

function replay(state: ReplayedState, key: MetadataKey, value: MetadataValue | null): void {
  if (key.subject === 'topic') {
    if (value === null) state.topics.delete(key.topicId);
    else if (value.subject === 'topic') state.topics.set(key.topicId, value);
  } else if (value?.subject === 'cluster') {
    state.clusterId = value.clusterId;
    state.brokerEpoch = value.brokerEpoch;
  } else if (value?.subject === 'producerIds') {
    state.nextProducerId = value.nextProducerId;
  }
}

function valueOf(topic: TopicState): TopicValue {
  return {
    subject: 'topic',
    name: topic.name,
    partitionCount: topic.logs.length,
    configs: topic.configs,
    isDeleting: false,
  };
}

/** Small segments, as compaction leaves the last one alone and every start reads what it leaves. */
function metadataLogConfig(config: BrokerConfig): LogConfig {
  return logConfigOf(
    new Map([
      ['cleanup.policy', 'compact'],
      ['compression.type', 'producer'],
      ['max.message.bytes', String(16 * 1024 * 1024)],
      ['message.timestamp.type', 'CreateTime'],
      ['segment.bytes', String(32 * 1024 * 1024)],
      ['segment.index.bytes', String(1024 * 1024)],
    ]),
    config,
  );
}
