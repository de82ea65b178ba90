import type { Client } from '@millrace/client';
import { json, string } from '@millrace/serde';
import { openView } from '@millrace/stores/redis';
import { until } from '../waiting.ts';
import { clicks, clicksTopology, seconds, totals, totalsStore, windowMs } from './clicks.ts';

const shownProblems = 10;

export interface CheckedClicks {
  /** How often each user clicked. */
  readonly counts: ReadonlyMap<string, number>;
  readonly closedCount: number;
  readonly problems: readonly string[];
}

/** The outputs, compared with what plain code makes of the input. */
export async function checkClicks(client: Client): Promise<CheckedClicks> {
  const counts = new Map<string, number>();
  const windows = new Map<string, { partition: number; endMs: number; count: number }>();
  const streamTimeMs = Array.from({ length: clicks.numPartitions! }, () => -1);
  for await (const { key, partition, timestampMs } of client.records(clicks, { to: 'end' })) {
    counts.set(key, (counts.get(key) ?? 0) + 1);
    streamTimeMs[partition] = Math.max(streamTimeMs[partition]!, timestampMs);
    const startMs = timestampMs - (timestampMs % windowMs);
    const endMs = startMs + windowMs;
    if (endMs <= streamTimeMs[partition]!) continue; // late
    const name = `${key}@${startMs}`;
    const window = windows.get(name) ?? { partition, endMs, count: 0 };
    windows.set(name, window);
    window.count++;
  }
  const problems: string[] = [];

  const seen = new Map<string, number>();
  for await (const { key, value, partition, offset } of client.records(totals, { to: 'end' })) {
    const expected = (seen.get(key) ?? 0) + 1;
    seen.set(key, value);
    if (value !== expected) problems.push(`totals-${partition}@${offset}: ${key} is ${value}, should be ${expected}`);
  }
  for (const [key, count] of counts) {
    if (seen.get(key) !== count) problems.push(`totals: ${key} ends at ${seen.get(key)}, should at ${count}`);
  }

  const closed = new Map<string, number>();
  for await (const { key, value } of client.records(seconds, { to: 'end' })) {
    if (closed.has(key)) problems.push(`seconds: ${key} comes twice`);
    closed.set(key, value);
  }
  let closedCount = 0;
  for (const [name, { partition, endMs, count }] of windows) {
    const isClosed = endMs <= streamTimeMs[partition]!;
    if (isClosed) closedCount++;
    const expected = isClosed ? count : undefined;
    if (closed.get(name) !== expected) problems.push(`seconds: ${name} is ${closed.get(name)}, should be ${expected}`);
  }
  for (const name of closed.keys()) if (!windows.has(name)) problems.push(`seconds: ${name} should not be`);
  return { counts, closedCount, problems: problems.slice(0, shownProblems) };
}

/** What other services read in Redis: each user's count, and nobody else's. It may be a commit behind, so it has a minute. */
export async function checkRedis(url: string, counts: ReadonlyMap<string, number>): Promise<readonly string[]> {
  await using view = await openView({
    url,
    applicationId: clicksTopology.applicationId,
    store: totalsStore,
    key: string,
    value: json<number>(),
  });
  let problems: string[] = [];
  try {
    await until(
      'Redis holds the counts',
      async () => {
        problems = [];
        for (const [key, count] of counts) {
          const { value } = await view.get(key, { timeoutMs: 20_000 });
          if (value !== count) problems.push(`Redis: ${key} is ${value}, should be ${count}`);
          if (problems.length === shownProblems) return false;
        }
        for await (const [key] of view.all()) if (!counts.has(key)) problems.push(`Redis: ${key} should not be`);
        return problems.length === 0;
      },
      60_000,
    );
    return [];
  } catch (error) {
    const { message, cause } = error as Error;
    return [cause instanceof Error ? `${message}: ${cause.message}` : message, ...problems];
  }
}
