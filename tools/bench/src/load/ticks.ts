import { json, string, topic, type Topic } from '@millrace/serde';

export interface Tick {
  readonly symbol: string;
  readonly bid: number;
  readonly ask: number;
  readonly venue: string;
}

/** What all pipelines read. */
export const ticks = topic('ticks', {
  key: string,
  value: json<Tick>(),
  numPartitions: 4,
  config: { 'retention.ms': -1 },
});

/** Where the stateless pipeline of this application id writes: a topic each, so that its results can be counted. */
export function spreadsOf(applicationId: string): Topic<string, { symbol: string; spread: number }> {
  return topic(`spreads-${applicationId}`, {
    key: string,
    value: json<{ symbol: string; spread: number }>(),
    numPartitions: 4,
  });
}

/** Where the windowed count of this application id writes; a key is `SYMBOL@start of the window`. */
export function countsOf(applicationId: string): Topic<string, { count: number }> {
  return topic(`counts-${applicationId}`, { key: string, value: json<{ count: number }>(), numPartitions: 4 });
}

/** The n-th tick: 1,000 symbols, 60 a millisecond, a tenth of them out of order by up to five seconds, every 20th filtered out. */
export function tickAt(n: number): { readonly key: string; readonly value: Tick; readonly timestampMs: number } {
  const symbol = `SYM${(n * 7919) % 1000}`;
  const lagMs = n % 10 === 0 ? (n * 31) % 5000 : 0;
  return {
    key: symbol,
    value: { symbol, bid: 100 + (n % 50), ask: 100.5 + (n % 50), venue: isFilteredOut(n) ? 'X' : 'NYSE' },
    timestampMs: startMs + Math.floor(n / 60) - lagMs + 5000,
  };
}

/** How many of the first `count` ticks pass the pipelines' filter. */
export function passing(count: number): number {
  return count - Math.ceil((count - filteredOutAt) / filteredOutEvery);
}

function isFilteredOut(n: number): boolean {
  return n % filteredOutEvery === filteredOutAt;
}

const startMs = Date.UTC(2026, 0, 1);
const filteredOutEvery = 20;
const filteredOutAt = 7;
