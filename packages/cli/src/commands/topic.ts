import { Client } from '@millrace/client';
import type { TopicConfig } from '@millrace/serde';
import { clusterOf, type ClusterFlags } from '../cluster.ts';
import { TopicExistsError, UsageError } from '../errors.ts';
import { output } from '../output.ts';

interface Options extends ClusterFlags {
  readonly json?: boolean;
}

export async function listTopics(options: Options & { readonly internal?: boolean }): Promise<void> {
  await using client = await Client.connect(clusterOf(options));
  const names = await client.admin.listTopics({ listInternal: options.internal });
  const topics = names.length === 0 ? [] : await client.admin.describeTopics(names);
  const rows = await Promise.all(
    topics
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map(async ({ name, partitions }) => ({
        topic: name,
        partitions: partitions.length,
        offsets: await offsetCount(client, name),
      })),
  );
  output(options).rows(rows, ['topic', 'partitions', 'offsets']);
}

export async function createTopic(
  name: string,
  options: Options & {
    readonly partitions?: number;
    readonly replicationFactor?: number;
    readonly config: readonly string[];
    readonly ifNotExists?: boolean;
  },
): Promise<void> {
  const config = configOf(options.config) as TopicConfig;
  await using client = await Client.connect(clusterOf(options));
  if (!options.ifNotExists && (await client.admin.listTopics({ listInternal: true })).includes(name)) {
    throw new TopicExistsError(name);
  }
  const { partitions: numPartitions, replicationFactor } = options;
  await client.admin.createTopics([{ name, numPartitions, replicationFactor, config }]);
  await describe(client, name, options);
}

export async function describeTopic(name: string, options: Options & { readonly configs?: boolean }): Promise<void> {
  await using client = await Client.connect(clusterOf(options));
  if (options.configs) {
    const configs = Object.entries(await client.admin.describeConfigs(name));
    const rows = configs.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([config, value]) => ({ config, value }));
    output(options).rows(rows, ['config', 'value']);
    return;
  }
  await describe(client, name, options);
}

export async function alterTopic(
  name: string,
  options: Options & { readonly partitions?: number; readonly config: readonly string[] },
): Promise<void> {
  const changes = configOf(options.config);
  if (options.partitions === undefined && options.config.length === 0) {
    throw new UsageError('Nothing to change: give --partitions or --config');
  }
  await using client = await Client.connect(clusterOf(options));
  if (options.partitions !== undefined) await client.admin.createPartitions(name, options.partitions);
  if (options.config.length > 0) await client.admin.alterConfigs(name, changes);
  await describe(client, name, options);
}

export async function deleteTopics(names: readonly string[], options: Options): Promise<void> {
  await using client = await Client.connect(clusterOf(options));
  await client.admin.deleteTopics(names);
}

async function describe(client: Client, name: string, options: Options): Promise<void> {
  const [topic] = await client.admin.describeTopics([name]);
  const earliest = new Map((await client.admin.listOffsets(name, 'earliest')).map((at) => [at.partition, at.offset]));
  const latest = new Map((await client.admin.listOffsets(name, 'latest')).map((at) => [at.partition, at.offset]));
  const configs = await client.admin.describeConfigs(name);
  const out = output(options);
  const head = { topic: name, topicId: topic!.topicId, cleanupPolicy: configs['cleanup.policy'] };
  if (!options.json) out.item(head);
  out.rows(
    topic!.partitions.map(({ partition, leader }) => ({
      ...(options.json ? head : {}),
      partition,
      leader,
      logStartOffset: earliest.get(partition),
      logEndOffset: latest.get(partition),
    })),
    ['partition', 'leader', 'logStartOffset', 'logEndOffset'],
  );
}

/** Of records, and of what only transactions see: their ends, and what was aborted. */
async function offsetCount(client: Client, topic: string): Promise<number> {
  let count = 0;
  for (const { offset } of await client.admin.listOffsets(topic, 'latest')) count += offset;
  for (const { offset } of await client.admin.listOffsets(topic, 'earliest')) count -= offset;
  return count;
}

/** `a=b` sets; `a=` puts back to the default. */
function configOf(pairs: readonly string[]): Record<`${string}.${string}`, string | null> {
  const config: Record<string, string | null> = {};
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    if (at < 1) throw new UsageError(`--config takes name=value, not ${pair}`);
    config[pair.slice(0, at)] = pair.slice(at + 1) === '' ? null : pair.slice(at + 1);
  }
  return config;
}
