import { expect, it } from 'vitest';
import { decodeCommitMetadata, encodeCommitMetadata, type CommitMetadata } from './commit-metadata.ts';

const full: CommitMetadata = {
  planHash: 'a1b2',
  streamTimeMs: 1_700_000_000_123,
  committedAtMs: 1_700_000_000_500,
  epoch: 7,
  changelogEnds: { counts: 12, 'per minute=x': 0 },
};

it('comes back as it went', () => {
  expect(decodeCommitMetadata(encodeCommitMetadata(full))).toEqual(full);
  const bare = { ...full, streamTimeMs: -1, changelogEnds: undefined };
  expect(decodeCommitMetadata(encodeCommitMetadata(bare))).toEqual(bare);
  expect(encodeCommitMetadata(full)).toBe('m1 a1b2 1700000000123 1700000000500 7 counts=12 per%20minute%3Dx=0');
});

it.each([
  undefined,
  '',
  'x',
  'm2 a 1 2',
  'm1 a1b2 1',
  'm1 a1b2 soon 5 1',
  'm1 a1b2 5 soon 1',
  'm1 a1b2 5 5 x',
  'm1 a1b2 5 5',
  '{"v":1}',
])('takes %j for metadata of another program', (text) => {
  expect(decodeCommitMetadata(text)).toBeUndefined();
});
