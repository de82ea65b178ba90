import {
  brokerConfigDefinitions,
  unlimited,
  type BrokerConfig,
  type BrokerConfigName,
  type ConfigType,
} from './broker-config.ts';
import { topicConfigDefinitions, type TopicConfigs } from './topic-config.ts';

/** Where a value comes from: the topic itself, what the broker was opened with, or the default. */
export type ConfigSource = 'topic' | 'broker' | 'default';

export interface DescribedConfig {
  readonly name: string;
  readonly value: string;
  readonly source: ConfigSource;
  readonly isReadOnly: boolean;
  readonly type: ConfigType;
  readonly documentation: string;
  /** All that could give the value, the one in force first. */
  readonly synonyms: readonly { readonly name: string; readonly value: string; readonly source: ConfigSource }[];
}

/**
 * A topic's configs with their sources, in the order of their names.
 * @param given names of the broker configs that were not left at their default
 * @param names only these; null: all
 */
export function describeTopicConfigs(
  own: TopicConfigs,
  broker: BrokerConfig,
  given: ReadonlySet<string>,
  names: readonly string[] | null,
): DescribedConfig[] {
  const described: DescribedConfig[] = [];
  for (const [name, definition] of Object.entries(topicConfigDefinitions)) {
    if (names !== null && !names.includes(name)) continue;
    const synonyms: { name: string; value: string; source: ConfigSource }[] = [];
    const ownText = own.get(name);
    if (ownText !== undefined) synonyms.push({ name, value: ownText, source: 'topic' });
    const { brokerConfig } = definition;
    if (brokerConfig !== undefined && given.has(brokerConfig)) {
      synonyms.push({ name: brokerConfig, value: configText(broker[brokerConfig]), source: 'broker' });
    }
    synonyms.push({ name: brokerConfig ?? name, value: configText(definition.default), source: 'default' });
    const { value, source } = synonyms[0]!;
    const { type, documentation } = definition;
    described.push({ name, value, source, isReadOnly: false, type, documentation, synonyms });
  }
  return described.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** The broker's configs: all are fixed while it runs. */
export function describeBrokerConfigs(
  broker: BrokerConfig,
  given: ReadonlySet<string>,
  names: readonly string[] | null,
): DescribedConfig[] {
  const described: DescribedConfig[] = [];
  for (const [name, definition] of Object.entries(brokerConfigDefinitions)) {
    if (names !== null && !names.includes(name)) continue;
    const value = configText(broker[name as BrokerConfigName]);
    const source = given.has(name) ? 'broker' : 'default';
    const synonyms = [{ name, value, source } as const];
    if (source === 'broker') {
      const byDefault = { name, value: configText(definition.default), source: 'default' } as const;
      described.push({ ...common(name, definition), value, source, synonyms: [...synonyms, byDefault] });
    } else {
      described.push({ ...common(name, definition), value, source, synonyms });
    }
  }
  return described.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function common(
  name: string,
  definition: { readonly type: ConfigType; readonly documentation: string },
): Pick<DescribedConfig, 'name' | 'isReadOnly' | 'type' | 'documentation'> {
  return { name, isReadOnly: true, type: definition.type, documentation: definition.documentation };
}

/** What "unlimited" is in Kafka's texts: 2^63-1, which no number of ours holds exactly. */
function configText(value: number | string | boolean): string {
  return value === unlimited ? '9223372036854775807' : String(value);
}
