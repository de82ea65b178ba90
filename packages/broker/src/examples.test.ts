import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { brokerConfigDefinitions, unlimited, type ConfigDefinition } from './core/broker-config.ts';
import { topicConfigDefinitions } from './core/topic-config.ts';
import { TestBroker } from './testing/memory-broker.ts';
import { apis, apiOf } from '@millrace/protocol';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

/** A table's cells with the padding between them taken away. */
const rows = readme
  .split('\n')
  .filter((line) => line.startsWith('|'))
  .map((line) => line.replaceAll(/\s+/g, ' ').trim());

const textOf = (value: ConfigDefinition['default']): string => {
  if (value === unlimited) return '2^63-1';
  return value === '' ? 'none' : `\`${String(value)}\``;
};

describe('the README', () => {
  it('has an example that runs', async () => {
    const source = readFileSync(new URL('../examples/embedded.ts', import.meta.url), 'utf8');
    expect(readme).toContain(source.trim());
    const lines: string[] = [];
    vi.spyOn(console, 'log').mockImplementation((line: string) => void lines.push(line));
    await import('../examples/embedded.ts');
    vi.restoreAllMocks();
    expect(lines[0]).toMatch(/^bootstrap\.servers=127\.0\.0\.1:\d+$/);
    expect(lines.slice(1)).toEqual([
      '0 connections, 0 partitions',
      'There is no broker config named num.partitons. Did you mean num.partitions?',
    ]);
  });

  it.each(Object.entries(brokerConfigDefinitions))('tells the broker config %s', (name, definition) => {
    expect(rows).toContain(`| \`${name}\` | ${textOf(definition.default)} | ${definition.documentation} |`);
  });

  it.each(Object.entries(topicConfigDefinitions))('tells the topic config %s', (name, definition) => {
    const { brokerConfig } = definition;
    const byDefault = brokerConfig === undefined ? textOf(definition.default) : `\`${brokerConfig}\``;
    expect(rows).toContain(`| \`${name}\` | ${byDefault} | ${definition.documentation} |`);
  });

  it('tells every API that is served, with its versions', async () => {
    await using test = await TestBroker.open();
    const { apiKeys } = await test.client.request(apis.apiVersions, 2, {});
    const told = apiKeys.map(({ apiKey, minVersion, maxVersion }) => {
      const versions = minVersion === maxVersion ? `${minVersion}` : `${minVersion}–${maxVersion}`;
      return `${apiOf(apiKey)?.name} ${versions}`;
    });
    expect(told.filter((each) => !readme.includes(each))).toEqual([]);
  });
});
