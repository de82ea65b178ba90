import type { Serde } from '@millrace/serde';
import type { Plan } from '../plan/plan.ts';

/** Lets serdes fetch what their synchronous calls need (schema ids), before the first record. */
export async function prepareSerdes(plan: Plan): Promise<void> {
  const uses: Promise<void>[] = [];
  const prepare = (serde: Partial<Serde<any>>, topic: string, part: 'key' | 'value'): void => {
    if (serde.prepare !== undefined) uses.push(serde.prepare(topic, part));
  };
  for (const node of plan.nodes) {
    if (node.kind === 'source' && node.topic.kind === 'external') {
      prepare(node.key, node.topic.name, 'key');
      prepare(node.value, node.topic.name, 'value');
    } else if (node.kind === 'to' && typeof node.topic !== 'function') {
      prepare(node.topic.key as Partial<Serde<any>>, node.topic.name, 'key');
      prepare(node.topic.value as Partial<Serde<any>>, node.topic.name, 'value');
    }
  }
  for (const { topic, key, value } of plan.globalTables) {
    prepare(key, topic, 'key');
    prepare(value, topic, 'value');
  }
  await Promise.all(uses);
}
