import { given, givenProcess } from '@millrace/eventsourcing/testing';
import { it } from 'vitest';
import { account, maxCents } from './account.ts';
import { transfer } from './transfer.ts';

const funded = [
  { type: 'opened', owner: 'Ada' },
  { type: 'deposited', cents: 500 },
] as const;

it('opens an account once', () => {
  given(account, [])
    .when({ type: 'open', owner: 'Ada' })
    .then([{ type: 'opened', owner: 'Ada' }]);
  given(account, funded).when({ type: 'open', owner: 'Eve' }).thenRejected('already-open');
});

it('never lets out more than there is', () => {
  given(account, funded)
    .when({ type: 'withdraw', cents: 500 })
    .then([{ type: 'withdrawn', cents: 500 }]);
  given(account, funded).when({ type: 'withdraw', cents: 501 }).thenRejected('insufficient-funds');
  given(account, [...funded, { type: 'withdrawn', cents: 1 }])
    .when({ type: 'sendTransfer', transferId: 't', to: 'bob', cents: 500 })
    .thenRejected('insufficient-funds');
});

it('takes whole cents above zero and no more than it can count, whoever sends them', () => {
  for (const cents of [0, -1, 1.5, Number.NaN, maxCents + 1]) {
    for (const type of ['deposit', 'withdraw'] as const) {
      given(account, funded).when({ type, cents }).thenRejected('invalid-amount');
    }
    given(account, funded)
      .when({ type: 'sendTransfer', transferId: 't', to: 'bob', cents })
      .thenRejected('invalid-amount');
  }
  const full = [...funded, { type: 'deposited', cents: maxCents - 500 }] as const;
  given(account, full).when({ type: 'deposit', cents: 1 }).thenRejected('limit-exceeded');
  given(account, full)
    .when({ type: 'receiveTransfer', transferId: 't', from: 'bob', cents: 1 })
    .thenRejected('limit-exceeded');
  // What was taken is always given back.
  given(account, full)
    .when({ type: 'refundTransfer', transferId: 't', cents: 1 })
    .then([{ type: 'transferRefunded', transferId: 't', cents: 1 }]);
});

it('does nothing for an account that was never opened', () => {
  given(account, []).when({ type: 'deposit', cents: 1 }).thenRejected('no-such-account');
});

it('carries a transfer to its receiver', () => {
  const sent = { type: 'transferSent', transferId: 't', from: 'ada', to: 'bob', cents: 200 } as const;
  givenProcess(transfer, [])
    .when({ kind: 'event', event: sent, from: 'ada' })
    .then(({ id, send }) => [
      send(account, 'bob', { type: 'receiveTransfer', transferId: id, from: 'ada', cents: 200 }),
    ]);
});

it('gives the money back where the receiver does not exist', () => {
  const sent = { type: 'transferSent', transferId: 't', from: 'ada', to: 'bob', cents: 200 } as const;
  const command = { type: 'receiveTransfer', transferId: 't', from: 'ada', cents: 200 } as const;
  givenProcess(transfer, [{ kind: 'event', event: sent, from: 'ada' }])
    .when({ kind: 'rejected', code: 'no-such-account', command, to: 'bob' })
    .then(({ id, send }) => [send(account, 'ada', { type: 'refundTransfer', transferId: id, cents: 200 })]);
});
