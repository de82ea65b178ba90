import { expect, it } from 'vitest';
import * as broker from './index.ts';

it('exports what it documents, and nothing else', () => {
  expect(Object.keys(broker).toSorted((a, b) => (a < b ? -1 : 1))).toEqual(['Broker', 'isMillraceError']);
});
