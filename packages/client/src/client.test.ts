import { Broker } from '@millrace/broker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clientCases, runClientCase } from './testing/index.ts';

describe.each(['in-process', 'over TCP'])('the client, %s', (how) => {
  let broker: Broker;

  beforeAll(async () => {
    broker = await Broker.open({ data: 'memory', listen: { port: 0 } });
  });
  afterAll(() => broker.close());

  it.each(clientCases)('$name', async (clientCase) => {
    const run = runClientCase(clientCase, how === 'in-process' ? broker : broker.address);
    await expect(run).resolves.toBeUndefined();
  });
});
