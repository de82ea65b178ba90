import { expect, it } from 'vitest';
import * as postgres from './postgres/index.ts';
import * as redis from './redis/index.ts';

it('exports these names, and no others', () => {
  const names = (entry: object): string[] => Object.keys(entry).toSorted((a, b) => (a < b ? -1 : 1));
  const errors = ['SinkFencedError', 'SinkPositionLostError', 'SinkRefusedError'];
  expect(names(postgres)).toEqual([...errors, 'postgres']);
  expect(names(redis)).toEqual([...errors, 'redisSink']);
});
