import { VirtualClock } from '@millrace/platform/simulated';
import { string, topic } from '@millrace/serde';
import { expect, it } from 'vitest';
import { bytesConsumer } from './bytes/index.ts';
import { Client } from './client.ts';
import type { ConsumerOptions } from './consumer/consumer-options.ts';
import { ScriptedBroker } from './testing/scripted-broker.ts';
import { ScriptedGroup } from './testing/scripted-group.ts';

const letters = topic('t', { key: string, value: string });
const invalid = (option: string): unknown =>
  expect.objectContaining({ code: 'INVALID_CONFIG', context: expect.objectContaining({ option }) });

it('refuses times and limits that are not above 0, as nothing would ever come of them', async () => {
  const group = new ScriptedGroup();
  const client = await group.connect();
  const ofConsumer = [
    'autoCommitIntervalMs',
    'sessionTimeoutMs',
    'heartbeatIntervalMs',
    'rebalanceTimeoutMs',
    'maxBufferedRecords',
    'maxBufferedBytes',
    'maxPartitionFetchBytes',
  ] as const satisfies readonly (keyof ConsumerOptions<readonly []>)[];
  for (const option of ofConsumer) {
    for (const value of [0, -1, Number.NaN]) {
      const options = { groupId: 'g', topics: [letters], [option]: value };
      expect(() => client.consumer(options), `${option} ${value}`).toThrow(invalid(option) as Error);
    }
    client.consumer({ groupId: 'g', topics: [letters], [option]: 1 });
  }
  for (const option of ['fetchMaxBytes', 'sessionTimeoutMs', 'maxBufferedBytes']) {
    const options = { isolationLevel: 'read_committed', autoOffsetReset: 'none', [option]: 0 } as const;
    expect(() => bytesConsumer(client, options), option).toThrow(invalid(option) as Error);
  }
  const source = [{ key: 'k', value: 'v' }];
  await expect(client.producer().sendFrom(letters, source, { maxBufferedRecords: 0 })).rejects.toThrow(
    invalid('maxBufferedRecords') as Error,
  );
  expect(() => client.transactionalProducer({ transactionalId: 'x', transactionTimeoutMs: 0 })).toThrow(
    invalid('transactionTimeoutMs') as Error,
  );
  const broker = new ScriptedBroker(new VirtualClock());
  for (const option of ['requestTimeoutMs', 'metadataMaxAgeMs', 'maxResponseBytes']) {
    await expect(Client.connect(broker, { [option]: 0 }), option).rejects.toThrow(invalid(option) as Error);
  }
  await group.run(client.close());
});
