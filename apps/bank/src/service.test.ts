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
  expect(sent).toMatchObject({ status: 202, body: { transferId: 'transfer-1' } });
  expect(await ended('transfer-1')).toEqual({ from: 'from', to: 'to', cents: 300, status: 'completed' });

  await call('POST', '/transfers', { from: 'from', to: 'nobody', cents: 300 }, 'transfer-2');
  expect(await ended('transfer-2')).toEqual({ from: 'from', to: 'nobody', cents: 300, status: 'refunded' });
  expect((await call('GET', '/accounts/from')).body).toMatchObject({ cents: 700 });
  expect((await call('GET', '/accounts/to')).body).toMatchObject({ cents: 300 });
});

/** Asks until the transfer is over: each question waits for the service, not for a clock. */
async function ended(transferId: string): Promise<unknown> {
  for (;;) {
    const { body } = await call('GET', `/transfers/${transferId}`);
    if (body['status'] === 'completed' || body['status'] === 'refunded') return body;
  }
}
