import { expect, it } from 'vitest';
import { errorCodes, errorInfo, type ErrorName } from './index.ts';

it('has every code from -1 to 136, once', () => {
  const codes = Object.values(errorCodes).toSorted((a, b) => a - b);
  expect(codes).toEqual(Array.from({ length: 138 }, (_, i) => i - 1));
});

it("gives a code's name, message, and whether it may be tried again", () => {
  expect(errorInfo(6)).toEqual({
    code: 6,
    name: 'NOT_LEADER_OR_FOLLOWER',
    retriable: true,
    message: 'The broker is not the leader (for fetches, not a replica) of the partition.',
  });
  expect(errorInfo(1)).toMatchObject({ name: 'OFFSET_OUT_OF_RANGE', retriable: false });
  expect(errorInfo(errorCodes.COORDINATOR_LOAD_IN_PROGRESS)).toMatchObject({ code: 14, retriable: true });
  expect(errorInfo(137)).toBeUndefined();
  expect(errorInfo(-2)).toBeUndefined();
});

it('has a message for each', () => {
  for (const name of Object.keys(errorCodes) as ErrorName[]) {
    expect(errorInfo(errorCodes[name])?.message, name).toMatch(/^[A-Z].+\.$/);
  }
});
