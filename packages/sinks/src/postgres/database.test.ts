import pg from 'pg';
import { expect, it } from 'vitest';
import { SinkFencedError } from '../errors.ts';
import { told } from './database.ts';

const ofServer = (code: string): pg.DatabaseError =>
  Object.assign(new pg.DatabaseError('it says no', 10, 'error'), { code });
const ofSocket = (code: string): Error => Object.assign(new Error(`write ${code}`), { code });

it.each([
  ['08006', 'SINK_BUSY'],
  ['25006', 'SINK_BUSY'], // a primary that was demoted
  ['40001', 'SINK_BUSY'],
  ['53100', 'SINK_BUSY'],
  ['55P03', 'SINK_BUSY'],
  ['57P01', 'SINK_BUSY'],
  ['22P02', 'SINK_REFUSED'],
  ['23505', 'SINK_REFUSED'],
  ['42501', 'SINK_REFUSED'],
])('takes an answer of SQLSTATE %s for %s', (code, expected) => {
  expect(told(ofServer(code), 'items', {})).toMatchObject({ code: expected });
});

it.each(['EPIPE', 'ECONNRESET', 'ENOTFOUND'])(
  'takes a connection that fails with %s for busy, not for a refusal',
  (code) => {
    const error = ofSocket(code);
    expect(told(error, 'items', {})).toMatchObject({ code: 'SINK_BUSY', cause: error });
  },
);

it('leaves errors of ours as they are', () => {
  const fenced = new SinkFencedError('items', 'orders', 0, 1, 2);
  expect(told(fenced, 'items', {})).toBe(fenced);
});
