import type { LogConfig } from '@millrace/log';
import {
  brokerConfigDefinitions,
  parseConfigValue,
  unlimited,
  type BrokerConfig,
  type BrokerConfigName,
  type ConfigDefinition,
} from './broker-config.ts';
import { InvalidConfigError, RequestRefusedError } from './errors.ts';

export interface TopicConfigDefinition extends ConfigDefinition {
  /** The broker config that is its default. */
  readonly brokerConfig?: BrokerConfigName;
}

const following = (brokerConfig: BrokerConfigName, documentation: string): TopicConfigDefinition => ({
  ...brokerConfigDefinitions[brokerConfig],
  brokerConfig,
  documentation,
});

/** Every topic config. The README's table is made of this. */
export const topicConfigDefinitions: Readonly<Record<string, TopicConfigDefinition>> = {
  'cleanup.policy': following('log.cleanup.policy', 'delete, compact, or both: what becomes of old segments.'),
  'compression.type': following(
    'compression.type',
    'producer keeps batches as they come; another codec compresses them anew.',
  ),
  'delete.retention.ms': following(
    'log.cleaner.delete.retention.ms',
    'How long compaction keeps a tombstone after it has first seen it.',
  ),
  'file.delete.delay.ms': following('log.segment.delete.delay.ms', 'How long the file of a deleted segment stays.'),
  'index.interval.bytes': following('log.index.interval.bytes', 'Bytes between two entries of the offset index.'),
  'max.compaction.lag.ms': following(
    'log.cleaner.max.compaction.lag.ms',
    'A record is compacted at the latest this long after it was written.',
  ),
  'max.message.bytes': following('message.max.bytes', 'Largest record batch, as compressed, with its header.'),
  'message.timestamp.after.max.ms': following(
    'log.message.timestamp.after.max.ms',
    "How far a record's time may be ahead of the broker's.",
  ),
  'message.timestamp.before.max.ms': following(
    'log.message.timestamp.before.max.ms',
    "How far a record's time may be behind the broker's.",
  ),
  'message.timestamp.type': following(
    'log.message.timestamp.type',
    "CreateTime keeps the producer's times; LogAppendTime sets the broker's.",
  ),
  'min.cleanable.dirty.ratio': following(
    'log.cleaner.min.cleanable.ratio',
    'Share of a log that must be uncompacted before compaction begins.',
  ),
  'min.compaction.lag.ms': following(
    'log.cleaner.min.compaction.lag.ms',
    'A record stays uncompacted at least this long.',
  ),
  'retention.bytes': following('log.retention.bytes', 'Bytes a partition may grow to before old segments go. -1: any.'),
  'retention.ms': following('log.retention.ms', 'How long records stay, by their own time. -1: forever.'),
  'segment.bytes': following('log.segment.bytes', 'Size of a segment file.'),
  'segment.index.bytes': following('log.index.size.max.bytes', 'Size of a segment index file.'),
  'segment.jitter.ms': following('log.roll.jitter.ms', 'Random time taken off segment.ms.'),
  'segment.ms': following('log.roll.ms', 'Age at which a segment is closed though it is not full.'),

  // Accepted, kept and shown, since tools set them everywhere; one node has nothing for them to change.
  'flush.messages': {
    type: 'long',
    default: unlimited,
    min: 1,
    documentation: "No effect: durability is the broker's `flush` option.",
  },
  'flush.ms': {
    type: 'long',
    default: unlimited,
    min: 0,
    documentation: "No effect: durability is the broker's `flush` option.",
  },
  'follower.replication.throttled.replicas': {
    type: 'list',
    default: '',
    documentation: 'No effect: one node has no followers.',
  },
  'leader.replication.throttled.replicas': {
    type: 'list',
    default: '',
    documentation: 'No effect: one node has no followers.',
  },
  'min.insync.replicas': {
    type: 'int',
    default: 1,
    min: 1,
    max: 2_147_483_647,
    brokerConfig: 'min.insync.replicas',
    documentation: 'No effect: one node has one replica, and acks=all waits for its disk.',
  },
  preallocate: { type: 'boolean', default: false, documentation: 'No effect: segments grow as they are written.' },
  'unclean.leader.election.enable': {
    type: 'boolean',
    default: false,
    documentation: 'No effect: one node has no followers.',
  },
};

/** A topic's own configs: validated, normalised texts under Kafka's names. */
export type TopicConfigs = ReadonlyMap<string, string>;

/**
 * Validates configs given for a topic, each and together.
 * @throws {InvalidConfigError} for a name that does not exist, a value that it cannot have, or two that exclude each other
 */
export function topicConfigsFrom(given: Iterable<readonly [name: string, text: string]>): Map<string, string> {
  const configs = new Map<string, string>();
  for (const [name, text] of given) {
    const definition = topicConfigDefinition(name);
    const value = parseConfigValue(name, definition, text);
    // The text of what means "unlimited" is kept: 2^63-1 is no number of ours.
    configs.set(name, value === unlimited ? text.trim() : String(value));
  }
  return configs;
}

/** @throws {RequestRefusedError} `INVALID_CONFIG` */
export function topicConfigDefinition(name: string): TopicConfigDefinition {
  if (Object.hasOwn(topicConfigDefinitions, name)) return topicConfigDefinitions[name]!;
  throw new RequestRefusedError('INVALID_CONFIG', `Unknown topic config name: ${name}. See the table in the README.`, {
    context: { name },
  });
}

/** What a topic's log is configured with: its own configs, else the broker's. @throws {InvalidConfigError} */
export function logConfigOf(configs: TopicConfigs, broker: BrokerConfig): LogConfig {
  const value = (name: string): number | string | boolean => {
    const definition = topicConfigDefinition(name);
    const own = configs.get(name);
    if (own !== undefined) return parseConfigValue(name, definition, own);
    return definition.brokerConfig === undefined ? definition.default : broker[definition.brokerConfig];
  };
  const number = (name: string): number => value(name) as number;
  const config: LogConfig = {
    cleanupPolicy: cleanupPolicyOf(value('cleanup.policy') as string),
    segmentBytes: number('segment.bytes'),
    segmentMs: number('segment.ms'),
    segmentJitterMs: number('segment.jitter.ms'),
    segmentIndexBytes: number('segment.index.bytes'),
    indexIntervalBytes: number('index.interval.bytes'),
    retentionMs: number('retention.ms'),
    retentionBytes: number('retention.bytes'),
    fileDeleteDelayMs: number('file.delete.delay.ms'),
    maxMessageBytes: number('max.message.bytes'),
    messageTimestampType: value('message.timestamp.type') as LogConfig['messageTimestampType'],
    messageTimestampBeforeMaxMs: number('message.timestamp.before.max.ms'),
    messageTimestampAfterMaxMs: number('message.timestamp.after.max.ms'),
    compressionType: value('compression.type') as LogConfig['compressionType'],
    minCleanableDirtyRatio: number('min.cleanable.dirty.ratio'),
    minCompactionLagMs: number('min.compaction.lag.ms'),
    maxCompactionLagMs: number('max.compaction.lag.ms'),
    deleteRetentionMs: number('delete.retention.ms'),
    producerIdExpirationMs: broker['producer.id.expiration.ms'],
  };
  if (config.minCompactionLagMs > config.maxCompactionLagMs) {
    throw new InvalidConfigError(
      'min.compaction.lag.ms',
      config.minCompactionLagMs,
      `at most max.compaction.lag.ms (${config.maxCompactionLagMs})`,
    );
  }
  return config;
}

function cleanupPolicyOf(text: string): LogConfig['cleanupPolicy'] {
  const items = text.split(',');
  if (!items.includes('compact')) return 'delete';
  return items.includes('delete') ? 'compact,delete' : 'compact';
}
