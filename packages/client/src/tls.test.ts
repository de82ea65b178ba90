import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { Broker } from '@millrace/broker';
import { string, topic } from '@millrace/serde';
import { expect, it } from 'vitest';
import { Client } from './client.ts';

/** A certificate for `localhost`, signed by itself: the broker's tests have it. */
const fixture = (name: string): string =>
  readFileSync(new URL(`../../broker/fixtures/${name}`, import.meta.url), 'utf8');
const cert = fixture('localhost-cert.pem');
const greetings = topic('greetings', { key: string, value: string });

it('produces and consumes over TLS, and trusts only whom it is told to', async () => {
  await using broker = await Broker.open({
    data: 'memory',
    listen: { port: 0, host: '127.0.0.1', advertised: 'localhost', tls: { cert, key: fixture('localhost-key.pem') } },
  });
  const bootstrapServers = `localhost:${broker.address.split(':').at(-1)}`;
  {
    await using client = await Client.connect({ bootstrapServers, tls: { ca: cert } });
    await client.admin.createTopics([greetings]);
    await client.producer().send(greetings, { key: 'ada', value: 'hello' });
    const values = [];
    for await (const { value } of client.records(greetings, { to: 'end' })) values.push(value);
    expect(values).toEqual(['hello']);
  }
  const reasons: [string, string, ConnectionOptions | undefined, string][] = [
    ['nobody vouches for it', bootstrapServers, {}, 'self-signed certificate'],
    ["it is another host's", bootstrapServers, { ca: cert, servername: 'other.test' }, 'is not in the cert'],
    ['it speaks TLS', bootstrapServers, undefined, 'TLS and SASL settings'],
  ];
  for (const [name, servers, tls, reason] of reasons) {
    const connecting = Client.connect({ bootstrapServers: servers, tls });
    const message = expect.stringContaining(reason) as string;
    await expect(connecting, name).rejects.toMatchObject({ code: 'BROKER_NOT_AVAILABLE', message });
  }
});
