import { apis, errorCodes } from '@millrace/protocol';
import { afterEach, expect, it } from 'vitest';
import { ScriptedGroup } from '../testing/scripted-group.ts';

const groups: ScriptedGroup[] = [];

async function open(): Promise<ScriptedGroup> {
  const group = new ScriptedGroup();
  groups.push(group);
  const { broker } = group;
  broker.topics.clear();
  broker.on(apis.createTopics, () => ({}));
  broker.on(apis.deleteTopics, () => ({}));
  await group.connect();
  return group;
}

afterEach(async () => {
  for (const group of groups.splice(0)) await group.run(group.client.close());
});

it('deletes each topic once: what an answer has confirmed is not asked for again with the rest', async () => {
  const group = await open();
  const { broker } = group;
  const asked: string[] = [];
  broker.topics.set('a', 1).set('b', 1);
  broker.on(apis.deleteTopics, ({ topics }) => {
    asked.push(topics.map(({ name }) => name).join());
    return {
      responses: topics.map(({ name }) => {
        if (name === 'b' && asked.length === 1) return { name, errorCode: errorCodes.REQUEST_TIMED_OUT };
        return {
          name,
          errorCode: broker.topics.delete(name!) ? errorCodes.NONE : errorCodes.UNKNOWN_TOPIC_OR_PARTITION,
        };
      }),
    };
  });
  await group.run(group.client.admin.deleteTopics(['a', 'b']));
  expect(asked).toEqual(['a,b', 'b']);
});

it('asks again when the answer is lost: what it made itself is there, what it deleted itself is unknown, as with Java', async () => {
  const group = await open();
  const { broker } = group;
  let isLost = true;
  broker.on(apis.createTopics, ({ topics }) => {
    const errorCode = broker.topics.has('a') ? errorCodes.TOPIC_ALREADY_EXISTS : errorCodes.NONE;
    broker.topics.set('a', 1);
    return isLost ? ((isLost = false), 'cut') : { topics: topics.map(({ name }) => ({ name, errorCode })) };
  });
  broker.on(apis.deleteTopics, ({ topics }) => {
    const errorCode = broker.topics.delete('a') ? errorCodes.NONE : errorCodes.UNKNOWN_TOPIC_OR_PARTITION;
    return isLost ? ((isLost = false), 'cut') : { responses: topics.map(({ name }) => ({ name, errorCode })) };
  });
  await group.run(group.client.admin.createTopics([{ name: 'a', numPartitions: 1 }]));
  isLost = true;
  const deleting = group.client.admin.deleteTopics(['a']);
  await expect(group.run(deleting)).rejects.toMatchObject({ code: 'UNKNOWN_TOPIC_OR_PARTITION' });
  expect(broker.topics.has('a')).toBe(false);
});
