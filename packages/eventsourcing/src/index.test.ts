import { expect, it } from 'vitest';
import * as entry from './index.ts';
import * as testing from './testing/index.ts';

it('exports these names, and no others', () => {
  const names = (module: object): string[] => Object.keys(module).toSorted((a, b) => (a < b ? -1 : 1));
  expect(names(entry)).toEqual([
    'CommandBusClosedError',
    'CommandIdReusedError',
    'CommandTimeoutError',
    'InvalidCommandError',
    'decider',
    'handleCommands',
    'isMillraceError',
    'metadataOf',
    'openCommandBus',
    'processManager',
    'processTopic',
    'projection',
    'reject',
    'replies',
    'runProcess',
    'versionedJson',
  ]);
  expect(names(testing)).toEqual(['given', 'givenProcess']);
});
