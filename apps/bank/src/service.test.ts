import { Client } from '@millrace/client';
import { bytes, string, topic } from '@millrace/serde';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startService, type Service } from './service.ts';

let service: Service;
beforeAll(async () => {
  service = await startService({
    broker: undefined,
    dataDirectory: 'memory',
    brokerPort: 0,
    store: 'memory',
    httpPort: 0,
  });
}, 30_000);
afterAll(() => service[Symbol.asyncDispose]());

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

async function call(method: string, path: string, body?: object, idempotencyKey?: string): Promise<Answer> {
  const response = await fetch(`${service.url}${path}`, {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

/** The account as of the given reply. */
async function balanceAfter(account: string, reply: Answer): Promise<unknown> {
  return (await call('GET', `/accounts/${account}?after=${String(reply.body['position'])}`)).body;
}

it('opens, deposits, withdraws, and shows what it was just told', async () => {
  expect(await call('POST', '/accounts', { id: 'ada', owner: 'Ada' })).toMatchObject({
    status: 201,
    body: { version: 1, events: [{ type: 'opened', owner: 'Ada' }] },
  });
  await call('POST', '/accounts/ada/deposit', { cents: 500 });
  const withdrawn = await call('POST', '/accounts/ada/withdraw', { cents: 120 });
  expect(withdrawn).toMatchObject({ status: 200, body: { version: 3 } });
  expect(await balanceAfter('ada', withdrawn)).toEqual({ owner: 'Ada', cents: 380, movements: 2 });
});

it('says why not', async () => {
  await call('POST', '/accounts', { id: 'poor', owner: 'Paul' });
  expect(await call('POST', '/accounts/poor/withdraw', { cents: 1 })).toMatchObject({
    status: 409,
    body: { error: 'insufficient-funds', message: '0 cents are left' },
  });
  expect(await call('POST', '/accounts', { id: 'poor', owner: 'X' })).toMatchObject({
    body: { error: 'already-open' },
  });
  expect(await call('POST', '/accounts/nobody/deposit', { cents: 1 })).toMatchObject({ status: 404 });
  expect(await call('GET', '/accounts/nobody')).toMatchObject({ status: 404, body: { error: 'no-such-account' } });
  expect(await call('POST', '/accounts/poor/deposit', { cents: -5 })).toMatchObject({ status: 400 });
  expect(await call('POST', '/accounts/poor/deposit', { cents: 1.5 })).toMatchObject({ status: 400 });
  expect(await call('GET', '/accounts/poor?after=yesterday')).toMatchObject({ status: 400 });
});

it('does a request that is sent again once', async () => {
  await call('POST', '/accounts', { id: 'again', owner: 'A' });
  const first = await call('POST', '/accounts/again/deposit', { cents: 100 }, 'key-1');
  const second = await call('POST', '/accounts/again/deposit', { cents: 100 }, 'key-1');
  // The same reply; only its position is the later command's own.
  expect({ ...second.body, position: '' }).toEqual({ ...first.body, position: '' });
  expect(await balanceAfter('again', second)).toMatchObject({ cents: 100, movements: 1 });
  expect(await call('POST', '/accounts/again/deposit', { cents: 999 }, 'key-1')).toMatchObject({
    status: 422,
    body: { error: 'idempotency-key-reused' },
  });
});

it('moves money from one account to another, or gives it back', async () => {
  for (const id of ['from', 'to']) await call('POST', '/accounts', { id, owner: id });
  await call('POST', '/accounts/from/deposit', { cents: 1000 });
  const sent = await call('POST', '/transfers', { from: 'from', to: 'to', cents: 300 }, 'transfer-1');
  expect(sent).toMatchObject({ status: 202, body: { transferId: 'from:transfer-1' } });
  expect(await ended('from:transfer-1')).toEqual({ from: 'from', to: 'to', cents: 300, status: 'completed' });

  await call('POST', '/transfers', { from: 'from', to: 'nobody', cents: 300 }, 'transfer-2');
  expect(await ended('from:transfer-2')).toEqual({ from: 'from', to: 'nobody', cents: 300, status: 'refunded' });
  expect((await call('GET', '/accounts/from')).body).toMatchObject({ cents: 700 });
  expect((await call('GET', '/accounts/to')).body).toMatchObject({ cents: 300 });
});

it('keeps transfers of two accounts apart whose requests have the same key', async () => {
  for (const id of ['x1', 'x2', 'y']) await call('POST', '/accounts', { id, owner: id });
  for (const id of ['x1', 'x2']) await call('POST', `/accounts/${id}/deposit`, { cents: 100 });
  const sent = await Promise.all([
    call('POST', '/transfers', { from: 'x1', to: 'nobody', cents: 30 }, 'same key/100%'),
    call('POST', '/transfers', { from: 'x2', to: 'y', cents: 50 }, 'same key/100%'),
  ]);
  expect(sent.map(({ status }) => status)).toEqual([202, 202]);
  const ids = sent.map(({ body }) => String(body['transferId']));
  expect(await ended(ids[0]!)).toEqual({ from: 'x1', to: 'nobody', cents: 30, status: 'refunded' });
  expect(await ended(ids[1]!)).toEqual({ from: 'x2', to: 'y', cents: 50, status: 'completed' });
  expect(await centsOf('x1', 'x2', 'y')).toEqual([100, 50, 50]);
});

it('delivers a transfer although a client has guessed the id of its command', async () => {
  for (const id of ['ann', 'ben']) await call('POST', '/accounts', { id, owner: id });
  await call('POST', '/accounts/ann/deposit', { cents: 100 });
  for (const guess of ['transfer:t:t:0:0', 'transfer:ann%3At:t:0:0', 'transfer:ann:t:t:0:0']) {
    await call('POST', '/accounts/ben/deposit', { cents: 1 }, guess);
  }
  const { body } = await call('POST', '/transfers', { from: 'ann', to: 'ben', cents: 40 }, 't');
  expect(await ended(String(body['transferId']))).toMatchObject({ status: 'completed' });
  expect(await centsOf('ann', 'ben')).toEqual([60, 43]);
});

it('refuses what it cannot make sense of, whatever part of the request it is', async () => {
  const bad = { status: 400, body: { error: 'bad-request' } };
  expect(await call('POST', '/accounts/a%20b/deposit', { cents: 1 })).toMatchObject(bad);
  expect(await call('POST', `/accounts/${'a'.repeat(65)}/deposit`, { cents: 1 })).toMatchObject(bad);
  expect(await call('POST', '/accounts', { id: 'fine', owner: 'F' }, 'k'.repeat(256))).toMatchObject(bad);
  expect(await call('GET', '/accounts/a?after=account-events/0@3')).toMatchObject(bad);
  expect(await call('GET', '/accounts/a?after=account-commands/0@99999999999999999999')).toMatchObject(bad);
  await call('POST', '/accounts', { id: 'rich', owner: 'R' });
  expect(await call('POST', '/accounts/rich/deposit', { cents: 10 ** 13 + 1 })).toMatchObject(bad);
});

it('dead-letters a command that nobody can read, and goes on', async () => {
  await call('POST', '/accounts', { id: 'calm', owner: 'C' });
  await using client = await Client.connect(service.brokerAddress);
  const raw = topic('account-commands', { key: string, value: bytes });
  const unreadable = [Buffer.of(0xff, 0xff), Buffer.alloc(0)]; // no Protobuf; a message of a kind that is not known
  for (const value of unreadable) await client.producer().send(raw, { key: 'calm', value });
  expect(await call('POST', '/accounts/calm/deposit', { cents: 1 })).toMatchObject({
    status: 200,
    body: { version: 2 },
  });
  const letters: number[] = [];
  for await (const { value } of client.records(topic('bank-dead-letters', { key: bytes, value: bytes }))) {
    if (letters.push(value.length) === unreadable.length) break;
  }
  expect(letters).toEqual([2, 0]);
});

async function centsOf(...ids: readonly string[]): Promise<unknown[]> {
  const cents: unknown[] = [];
  for (const id of ids) cents.push((await call('GET', `/accounts/${id}`)).body['cents']);
  return cents;
}

/** Asks until the transfer is over: each question waits for the service, not for a clock. */
async function ended(transferId: string): Promise<unknown> {
  for (;;) {
    const { body } = await call('GET', `/transfers/${encodeURIComponent(transferId)}`);
    if (body['status'] === 'completed' || body['status'] === 'refunded') return body;
  }
}
