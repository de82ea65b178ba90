import { InvalidConfigError, UnknownConfigError } from './errors.ts';

/** The broker's configs with their values: Kafka's names, milliseconds and bytes as numbers. */
export interface BrokerConfig {
  readonly 'node.id': number;
  // Connections and requests
  readonly 'socket.request.max.bytes': number;
  readonly 'millrace.request.max.bytes': number;
  readonly 'max.connections': number;
  readonly 'max.connections.per.ip': number;
  readonly 'connections.max.idle.ms': number;
  readonly 'connection.failed.handshake.timeout.ms': number;
  readonly 'queued.max.request.bytes': number;
  readonly 'millrace.queued.max.response.bytes': number;
  readonly 'millrace.connection.max.in.flight.bytes': number;
  readonly 'millrace.connection.max.in.flight.requests': number;
  readonly 'millrace.connection.max.queued.response.bytes': number;
  // Fetch
  readonly 'fetch.max.bytes': number;
  // Topics
  readonly 'auto.create.topics.enable': boolean;
  readonly 'delete.topic.enable': boolean;
  readonly 'num.partitions': number;
  readonly 'default.replication.factor': number;
  readonly 'millrace.replication.factor.clamp': boolean;
  readonly 'millrace.max.partitions': number;
  // Defaults of topic configs
  readonly 'log.cleanup.policy': string;
  readonly 'log.segment.bytes': number;
  readonly 'log.roll.ms': number;
  readonly 'log.roll.jitter.ms': number;
  readonly 'log.index.size.max.bytes': number;
  readonly 'log.index.interval.bytes': number;
  readonly 'log.retention.ms': number;
  readonly 'log.retention.bytes': number;
  readonly 'log.segment.delete.delay.ms': number;
  readonly 'message.max.bytes': number;
  readonly 'log.message.timestamp.type': string;
  readonly 'log.message.timestamp.before.max.ms': number;
  readonly 'log.message.timestamp.after.max.ms': number;
  readonly 'compression.type': string;
  readonly 'log.cleaner.min.cleanable.ratio': number;
  readonly 'log.cleaner.min.compaction.lag.ms': number;
  readonly 'log.cleaner.max.compaction.lag.ms': number;
  readonly 'log.cleaner.delete.retention.ms': number;
  readonly 'min.insync.replicas': number;
  // Housekeeping
  readonly 'log.retention.check.interval.ms': number;
  readonly 'log.cleaner.enable': boolean;
  readonly 'log.cleaner.backoff.ms': number;
  readonly 'log.cleaner.dedupe.buffer.size': number;
  readonly 'num.recovery.threads.per.data.dir': number;
  // Groups
  readonly 'group.min.session.timeout.ms': number;
  readonly 'group.max.session.timeout.ms': number;
  readonly 'group.initial.rebalance.delay.ms': number;
  readonly 'group.max.size': number;
  readonly 'offsets.topic.num.partitions': number;
  readonly 'offsets.topic.segment.bytes': number;
  readonly 'offsets.retention.minutes': number;
  readonly 'offsets.retention.check.interval.ms': number;
  readonly 'offset.metadata.max.bytes': number;
  // Transactions and idempotent producers
  readonly 'transaction.state.log.num.partitions': number;
  readonly 'transaction.state.log.segment.bytes': number;
  readonly 'transaction.max.timeout.ms': number;
  readonly 'transaction.abort.timed.out.transaction.cleanup.interval.ms': number;
  readonly 'transaction.remove.expired.transaction.cleanup.interval.ms': number;
  readonly 'transactional.id.expiration.ms': number;
  readonly 'transaction.partition.verification.enable': boolean;
  readonly 'producer.id.expiration.ms': number;
}

export type BrokerConfigName = keyof BrokerConfig;

/** Kafka's types of configs: what DescribeConfigs tells of them. */
export type ConfigType = 'boolean' | 'string' | 'int' | 'long' | 'double' | 'list';

export interface ConfigDefinition {
  readonly type: ConfigType;
  readonly default: number | string | boolean;
  readonly min?: number;
  readonly max?: number;
  /** Of a string, or of each item of a list. */
  readonly oneOf?: readonly string[];
  readonly documentation: string;
}

const int32Max = 2_147_483_647;
/** Kafka's `Long.MAX_VALUE`, "unlimited": a number as far as a number goes. */
export const unlimited: number = Number.MAX_SAFE_INTEGER;
/** A timer that is set for longer fires at once. */
const longestTimerMs = int32Max;
const kib = 1024;
const mib = 1024 * 1024;
const secondMs = 1000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

const int = (value: number, min: number, documentation: string, max: number = int32Max): ConfigDefinition => ({
  type: 'int',
  default: value,
  min,
  max,
  documentation,
});
const long = (value: number, min: number, documentation: string, max: number = unlimited): ConfigDefinition => ({
  type: 'long',
  default: value,
  min,
  max,
  documentation,
});
const bool = (value: boolean, documentation: string): ConfigDefinition => ({
  type: 'boolean',
  default: value,
  documentation,
});
const choice = (value: string, oneOf: readonly string[], documentation: string): ConfigDefinition => ({
  type: 'string',
  default: value,
  oneOf,
  documentation,
});

/** Every broker config: its default, limits and meaning. The README's table is made of this. */
export const brokerConfigDefinitions: Readonly<Record<BrokerConfigName, ConfigDefinition>> = {
  'node.id': int(1, 0, "This broker's id in the cluster metadata."),

  'socket.request.max.bytes': int(100 * mib, 1, 'Longest request; a longer one closes its connection.'),
  'millrace.request.max.bytes': int(
    8 * mib,
    1024,
    'Longest request other than Produce; a longer one closes its connection. Lists of small items take 50 times their bytes in memory.',
  ),
  'max.connections': int(
    10_000,
    1,
    'Connections in all; one more is closed as it comes. (Kafka has no limit by default.)',
  ),
  'max.connections.per.ip': int(int32Max, 0, 'Connections from one address.'),
  'connections.max.idle.ms': long(10 * minuteMs, 1, 'A connection without a request this long is closed.'),
  'connection.failed.handshake.timeout.ms': long(
    10 * secondMs,
    1,
    'A connection that has sent no whole first request by then is closed.',
  ),
  'queued.max.request.bytes': long(
    256 * mib,
    mib,
    'Bytes of requests in flight in all. Above it, connections are not read. (Kafka: unlimited.)',
  ),
  'millrace.queued.max.response.bytes': long(
    512 * mib,
    mib,
    'Response bytes not taken by their readers, in all. Above it, fetches get one batch, and the slowest reader is closed.',
  ),
  'millrace.connection.max.in.flight.bytes': int(
    128 * mib,
    1,
    'Bytes of requests in flight on one connection. Above it, the connection is not read; one request is always let in.',
  ),
  'millrace.connection.max.in.flight.requests': int(
    1000,
    1,
    'Requests in flight on one connection. Above it, the connection is not read.',
  ),
  'millrace.connection.max.queued.response.bytes': int(
    64 * mib,
    1,
    'Response bytes that a slow reader may leave unread before its requests wait.',
  ),

  'fetch.max.bytes': int(55 * mib, 1024, 'Most bytes a fetch is answered with, the first batch excepted.'),

  'auto.create.topics.enable': bool(true, 'Make topics that metadata is asked for, where the client allows it.'),
  'delete.topic.enable': bool(true, 'Allow topics to be deleted.'),
  'num.partitions': int(1, 1, 'Partitions of a topic made without a number of them.'),
  'default.replication.factor': int(1, 1, 'Replicas of a topic made without a number of them: one node has one.', 1),
  'millrace.replication.factor.clamp': bool(
    true,
    'Topics made with a replication factor above 1 get 1. False: they are refused, as by Kafka on one node.',
  ),
  'millrace.max.partitions': int(20_000, 1, 'Partitions in all, internal topics included.'),

  'log.cleanup.policy': {
    type: 'list',
    default: 'delete',
    oneOf: ['delete', 'compact'],
    documentation: 'Default of cleanup.policy.',
  },
  'log.segment.bytes': int(1024 * mib, 14, 'Default of segment.bytes.'),
  'log.roll.ms': long(7 * dayMs, 1, 'Default of segment.ms.'),
  'log.roll.jitter.ms': long(0, 0, 'Default of segment.jitter.ms.'),
  'log.index.size.max.bytes': int(10 * mib, 4, 'Default of segment.index.bytes.'),
  'log.index.interval.bytes': int(4 * kib, 0, 'Default of index.interval.bytes.'),
  'log.retention.ms': long(7 * dayMs, -1, 'Default of retention.ms. -1: forever.'),
  'log.retention.bytes': long(-1, -1, 'Default of retention.bytes. -1: no limit.'),
  'log.segment.delete.delay.ms': long(minuteMs, 0, 'Default of file.delete.delay.ms.'),
  'message.max.bytes': int(mib + 12, 0, 'Default of max.message.bytes.'),
  'log.message.timestamp.type': choice(
    'CreateTime',
    ['CreateTime', 'LogAppendTime'],
    'Default of message.timestamp.type.',
  ),
  'log.message.timestamp.before.max.ms': long(unlimited, 0, 'Default of message.timestamp.before.max.ms.'),
  'log.message.timestamp.after.max.ms': long(hourMs, 0, 'Default of message.timestamp.after.max.ms.'),
  'compression.type': choice(
    'producer',
    ['producer', 'uncompressed', 'gzip', 'snappy', 'lz4', 'zstd'],
    'Default of compression.type.',
  ),
  'log.cleaner.min.cleanable.ratio': {
    type: 'double',
    default: 0.5,
    min: 0,
    max: 1,
    documentation: 'Default of min.cleanable.dirty.ratio.',
  },
  'log.cleaner.min.compaction.lag.ms': long(0, 0, 'Default of min.compaction.lag.ms.'),
  'log.cleaner.max.compaction.lag.ms': long(unlimited, 1, 'Default of max.compaction.lag.ms.'),
  'log.cleaner.delete.retention.ms': long(dayMs, 0, 'Default of delete.retention.ms.'),
  'min.insync.replicas': int(1, 1, 'Default of min.insync.replicas: one node has one replica.', 1),

  'log.retention.check.interval.ms': long(
    5 * minuteMs,
    1,
    'How often retention and time-based rolling are looked at.',
    longestTimerMs,
  ),
  'log.cleaner.enable': bool(true, 'Compact topics.'),
  'log.cleaner.backoff.ms': long(15 * secondMs, 1, 'How often compaction looks for something to do.', longestTimerMs),
  'log.cleaner.dedupe.buffer.size': long(128 * mib, mib, "Memory of a compaction's map of keys."),
  'num.recovery.threads.per.data.dir': int(8, 1, 'Logs opened (and recovered) side by side at start. (Kafka: 2.)'),

  'group.min.session.timeout.ms': int(6 * secondMs, 1, 'Shortest session timeout a member may ask for.'),
  'group.max.session.timeout.ms': int(30 * minuteMs, 1, 'Longest session timeout a member may ask for.'),
  'group.initial.rebalance.delay.ms': int(
    0,
    0,
    'How long the first rebalance of an empty group waits for more members. (Kafka: 3000.)',
  ),
  'group.max.size': int(int32Max, 1, 'Most members of a group.'),
  'offsets.topic.num.partitions': int(
    4,
    1,
    'Partitions of __consumer_offsets, when it is made. On one node more of them only cost files and syncs. (Kafka: 50.)',
  ),
  'offsets.topic.segment.bytes': int(100 * mib, 1, 'segment.bytes of __consumer_offsets, when it is made.'),
  'offsets.retention.minutes': int(10_080, 1, 'How long the offsets of an empty group are kept.'),
  'offsets.retention.check.interval.ms': long(
    10 * minuteMs,
    1,
    'How often expired offsets are looked for.',
    longestTimerMs,
  ),
  'offset.metadata.max.bytes': int(4096, 0, 'Longest metadata of a committed offset.'),

  'transaction.state.log.num.partitions': int(4, 1, 'Partitions of __transaction_state, when it is made. (Kafka: 50.)'),
  'transaction.state.log.segment.bytes': int(100 * mib, 1, 'segment.bytes of __transaction_state, when it is made.'),
  'transaction.max.timeout.ms': int(15 * minuteMs, 1, 'Longest transaction timeout a producer may ask for.'),
  'transaction.abort.timed.out.transaction.cleanup.interval.ms': int(
    secondMs, // Kafka: 10 seconds, for which what a killed producer left open hides what others have committed since
    1,
    'How often transactions past their timeout are looked for. (Kafka: 10000.)',
  ),
  'transaction.remove.expired.transaction.cleanup.interval.ms': int(
    hourMs,
    1,
    'How often expired transactional ids are looked for.',
  ),
  'transactional.id.expiration.ms': int(7 * dayMs, 1, 'How long an unused transactional id is remembered.'),
  'transaction.partition.verification.enable': bool(
    true,
    'Refuse transactional batches for partitions that were not added to the transaction (KIP-890).',
  ),
  'producer.id.expiration.ms': int(dayMs, 1, 'How long an idle idempotent producer is remembered.'),
};

/**
 * The configs given, over the defaults.
 * @throws {UnknownConfigError} for a name that does not exist
 * @throws {InvalidConfigError} for a value of the wrong type or beyond its limits
 */
export function brokerConfigFrom(given: Readonly<Record<string, string | number | boolean>>): BrokerConfig {
  const values: Record<string, number | string | boolean> = {};
  for (const [name, definition] of Object.entries(brokerConfigDefinitions)) values[name] = definition.default;
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(brokerConfigDefinitions, name)) throw new UnknownConfigError(name, nearest(name));
    values[name] = parseConfigValue(name, brokerConfigDefinitions[name as BrokerConfigName], value);
  }
  // The compiler cannot follow: each name of the interface has a definition, and each value is of its definition's type.
  return values as unknown as BrokerConfig;
}

/** A config's value of what a client or an operator wrote. @throws {InvalidConfigError} */
export function parseConfigValue(
  name: string,
  definition: ConfigDefinition,
  value: string | number | boolean,
): number | string | boolean {
  const text = String(value).trim();
  switch (definition.type) {
    case 'boolean':
      if (text === 'true') return true;
      if (text === 'false') return false;
      throw new InvalidConfigError(name, value, 'true or false');
    case 'string':
      if (definition.oneOf === undefined || definition.oneOf.includes(text)) return text;
      throw new InvalidConfigError(name, value, `one of ${definition.oneOf.join(', ')}`);
    case 'list': {
      const items = text === '' ? [] : text.split(',').map((item) => item.trim());
      if (items.length > 0 && items.every((item) => definition.oneOf?.includes(item) ?? true)) return items.join(',');
      throw new InvalidConfigError(name, value, `a list of ${definition.oneOf?.join(', ') ?? 'names'}`);
    }
    case 'int':
    case 'long':
    case 'double':
      return parseNumber(name, definition, text);
  }
}

function parseNumber(name: string, definition: ConfigDefinition, text: string): number {
  const { min = -unlimited, max = unlimited } = definition;
  const pattern = definition.type === 'double' ? /^-?\d+(\.\d+)?$/ : /^-?\d+$/;
  let number = pattern.test(text) ? Number(text) : Number.NaN;
  // Kafka's clients write Long.MAX_VALUE for "unlimited"; up to there is fine, and means no more.
  if (definition.type === 'long' && number > unlimited && number <= 2 ** 63) number = unlimited;
  if (number >= min && number <= max) return number;
  const kind = definition.type === 'double' ? 'a number' : 'a whole number';
  throw new InvalidConfigError(name, text, `${kind} from ${min} to ${max === unlimited ? '2^63-1' : max}`);
}

/** The name most like a mistyped one. */
function nearest(name: string): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(3, Math.floor(name.length / 3));
  for (const candidate of Object.keys(brokerConfigDefinitions)) {
    const distance = editDistance(name, candidate, bestDistance);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      current[j] = Math.min(previous[j]! + 1, current[j - 1]! + 1, previous[j - 1]! + cost);
    }
    previous = current;
  }
  return previous[b.length]!;
}
