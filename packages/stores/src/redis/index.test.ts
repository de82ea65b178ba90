import { expect, it } from 'vitest';
import * as entry from './index.ts';

it('exports these names, and no others', () => {
  expect(Object.keys(entry).toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
    'ClosedError',
    'EvictionEnabledError',
    'RedisError',
    'StoreFencedError',
    'StoreNotFoundError',
    'StoreStaleError',
    'ViewTimeoutError',
    'openView',
    'redis',
  ]);
});
