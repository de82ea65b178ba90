import { describe, expect, it } from 'vitest';
import { brokerConfigDefinitions, brokerConfigFrom, parseConfigValue, unlimited } from './broker-config.ts';
import { logConfigOf, topicConfigDefinitions, topicConfigsFrom } from './topic-config.ts';

describe('broker configs', () => {
  it('have the defaults unless they are given, as numbers or as texts', () => {
    const config = brokerConfigFrom({
      'num.partitions': '7',
      'log.retention.ms': -1,
      'auto.create.topics.enable': 'false',
    });
    expect(config['num.partitions']).toBe(7);
    expect(config['log.retention.ms']).toBe(-1);
    expect(config['auto.create.topics.enable']).toBe(false);
    expect(config['fetch.max.bytes']).toBe(57_671_680);
  });

  it('name what a mistyped one may have been meant to be', () => {
    expect(() => brokerConfigFrom({ 'num.partition': 3 })).toThrow(
      expect.objectContaining({
        code: 'UNKNOWN_CONFIG',
        context: { name: 'num.partition', nearest: 'num.partitions' },
      }),
    );
    expect(() => brokerConfigFrom({ zzz: 3 })).toThrow(
      expect.objectContaining({ context: { name: 'zzz', nearest: undefined } }),
    );
  });

  it.each(['log.retention.check.interval.ms', 'log.cleaner.backoff.ms', 'offsets.retention.check.interval.ms'])(
    'keep %s to what a timer can wait for',
    (name) => {
      expect(brokerConfigFrom({ [name]: 2 ** 31 - 1 })).toMatchObject({ [name]: 2 ** 31 - 1 });
      expect(() => brokerConfigFrom({ [name]: 2 ** 31 })).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }));
    },
  );

  it.each([
    ['num.partitions', 0],
    ['num.partitions', 1.5],
    ['num.partitions', 2 ** 31],
    ['num.partitions', 'many'],
    ['num.partitions', ''],
    ['auto.create.topics.enable', 'yes'],
    ['log.cleanup.policy', 'remove'],
    ['log.cleanup.policy', ''],
    ['log.cleaner.min.cleanable.ratio', 1.01],
    ['log.message.timestamp.type', 'createtime'],
  ])('refuse %s = %j', (name, value) => {
    expect(() => brokerConfigFrom({ [name]: value })).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }));
  });

  it('take 2^63-1 as unlimited, and refuse one more', () => {
    const definition = brokerConfigDefinitions['log.cleaner.max.compaction.lag.ms'];
    expect(parseConfigValue('x', definition, '9223372036854775807')).toBe(unlimited);
    expect(() => parseConfigValue('x', definition, '92233720368547758070')).toThrow(/2\^63-1/);
  });

  it('have defaults within their own limits', () => {
    for (const [name, definition] of Object.entries({ ...brokerConfigDefinitions, ...topicConfigDefinitions })) {
      if (definition.type === 'list' && definition.default === '') continue; // no items
      expect(parseConfigValue(name, definition, definition.default), name).toBe(definition.default);
    }
  });
});

describe('topic configs', () => {
  const broker = brokerConfigFrom({ 'log.segment.bytes': 5000, 'producer.id.expiration.ms': 77 });

  it("are the topic's own, else the broker's", () => {
    const config = logConfigOf(topicConfigsFrom([['retention.ms', ' 1000 ']]), broker);
    expect(config).toMatchObject({ retentionMs: 1000, segmentBytes: 5000, producerIdExpirationMs: 77 });
  });

  it.each([
    ['delete', 'delete'],
    ['compact', 'compact'],
    ['compact,delete', 'compact,delete'],
    ['delete, compact', 'compact,delete'],
  ])('understand cleanup.policy=%s', (text, policy) => {
    expect(logConfigOf(topicConfigsFrom([['cleanup.policy', text]]), broker).cleanupPolicy).toBe(policy);
  });

  it('keep the text of what no number holds', () => {
    expect(topicConfigsFrom([['flush.ms', '9223372036854775807']]).get('flush.ms')).toBe('9223372036854775807');
  });
});
