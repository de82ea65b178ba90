import { expect, it } from 'vitest';
import { nullable, recordHeaders, sessionWindowed, string, windowed } from './index.ts';

it('windowed keys are placed by the key alone, also where they may be null', () => {
  const context = { topic: 'windows', part: 'key', headers: recordHeaders() } as const;
  const key = { key: 'ab', window: { startMs: 1, endMs: 11 } };
  const time = windowed(string, { sizeMs: 10 });
  for (const serde of [time, nullable(time), sessionWindowed(string)]) {
    const bytes = serde.partitionBytes!(serde.serialize(key, context));
    expect(Buffer.from(bytes).toString()).toBe('ab');
  }
  expect(string.partitionBytes).toBeUndefined();
});
