import type { TaskMetrics } from '../task/task-port.ts';
import { Histogram } from './histogram.ts';
import type { TaskRunner } from './task-runner.ts';

/** What an app does, as of now. Counts are since its start, rates and quantiles of the last seconds to minutes. */
export interface StreamsMetrics {
  readonly recordsPerSecond: number;
  /** In the cluster, and not yet processed by this instance's tasks. */
  readonly lagRecords: number;
  /** Too late for every window of theirs. */
  readonly lateRecords: number;
  /** Null keys where state needs one, and the like. */
  readonly droppedRecords: number;
  readonly commitMs: { readonly p50: number; readonly p99: number };
  /** From a record's time to the commit of what came of it; sampled. */
  readonly endToEndMs: { readonly p50: number; readonly p99: number };
  /** Entries in memory, and about how many bytes they take. */
  readonly stores: Readonly<Record<string, { readonly entries: number; readonly bytes: number }>>;
  /** The same and more in Prometheus's text format. */
  prometheus(): string;
}

const counters = [
  ['processedRecords', 'processed_records_total', 'Records taken from input topics and processed.'],
  ['lateRecords', 'late_records_total', 'Records too late for every window of theirs.'],
  ['droppedRecords', 'dropped_records_total', 'Records with a null key where state needs one, and the like.'],
  ['skippedRecords', 'skipped_records_total', 'Records skipped by a policy.'],
  ['deadLetters', 'dead_letters_total', 'Records sent to a dead-letter topic by a policy.'],
  ['retries', 'retries_total', 'Attempts after the first, by a policy.'],
] as const satisfies readonly (readonly [keyof TaskMetrics, string, string])[];

type Counts = { -readonly [P in keyof TaskMetrics]: number };

/** Counts what an app does. Nothing is done for a record: tasks count for themselves, and are asked when somebody looks. */
export class AppMetrics {
  readonly #applicationId: string;
  readonly #monotonic: () => number;
  readonly #commitMs = new Histogram();
  readonly #endToEndMs = new Histogram();
  /** Of tasks that are closed. */
  readonly #past: Counts = zero();
  #recoveries = 0;
  #processed = 0;
  #rate = 0;
  #rateFromMs: number;
  #rateProcessed = 0;
  #decayedMs: number;

  constructor(applicationId: string, monotonic: () => number) {
    this.#applicationId = applicationId;
    this.#monotonic = monotonic;
    this.#rateFromMs = monotonic();
    this.#decayedMs = this.#rateFromMs;
  }

  processed(recordCount: number): void {
    this.#processed += recordCount;
  }

  committed(durationMs: number, endToEndMs: readonly number[]): void {
    this.#commitMs.record(durationMs);
    for (const ms of endToEndMs) this.#endToEndMs.record(ms);
  }

  recovered(): void {
    this.#recoveries++;
  }

  taskClosed(metrics: TaskMetrics): void {
    for (const [name] of counters) this.#past[name] += metrics[name];
  }

  snapshot(runners: Iterable<TaskRunner>): StreamsMetrics {
    const counts = { ...this.#past };
    const stores: Record<string, { entries: number; bytes: number }> = {};
    let lagRecords = 0;
    for (const runner of runners) {
      for (const [name] of counters) counts[name] += runner.task.metrics[name];
      lagRecords += runner.lagRecords;
      for (const { store } of runner.stores) {
        const total = (stores[store.plan.name] ??= { entries: 0, bytes: 0 });
        total.entries += store.entryCount;
        total.bytes += Math.round(store.entryCount * store.meanEntryBytes);
      }
    }
    this.#look();
    const commitMs = quantiles(this.#commitMs);
    const endToEndMs = quantiles(this.#endToEndMs);
    const { lateRecords, droppedRecords } = counts;
    const recordsPerSecond = Math.round(this.#rate);
    const text = (): string => this.#prometheus(counts, lagRecords, stores, commitMs, endToEndMs);
    return {
      recordsPerSecond,
      lagRecords,
      lateRecords,
      droppedRecords,
      commitMs,
      endToEndMs,
      stores,
      prometheus: text,
    };
  }

  /** The rate is that between two looks at least a second apart; quantiles forget half in a minute. */
  #look(): void {
    const nowMs = this.#monotonic();
    const elapsedMs = nowMs - this.#rateFromMs;
    if (elapsedMs >= 900) {
      this.#rate = ((this.#processed - this.#rateProcessed) * 1000) / elapsedMs;
      this.#rateFromMs = nowMs;
      this.#rateProcessed = this.#processed;
    }
    for (; nowMs - this.#decayedMs >= 60_000; this.#decayedMs += 60_000) {
      this.#commitMs.decay();
      this.#endToEndMs.decay();
    }
  }

  #prometheus(
    counts: Counts,
    lagRecords: number,
    stores: StreamsMetrics['stores'],
    commitMs: { readonly p50: number; readonly p99: number },
    endToEndMs: { readonly p50: number; readonly p99: number },
  ): string {
    const app = `application="${escapeLabel(this.#applicationId)}"`;
    const lines: string[] = [];
    const metric = (
      name: string,
      type: string,
      help: string,
      samples: readonly (readonly [string, number])[],
    ): void => {
      lines.push(`# HELP millrace_streams_${name} ${help}`, `# TYPE millrace_streams_${name} ${type}`);
      for (const [labels, value] of samples) lines.push(`millrace_streams_${name}${labels} ${value}`);
    };
    for (const [field, name, help] of counters) metric(name, 'counter', help, [[`{${app}}`, counts[field]]]);
    metric('recoveries_total', 'counter', 'Times the app began again at its last commit.', [
      [`{${app}}`, this.#recoveries],
    ]);
    metric('lag_records', 'gauge', 'Records in the cluster that are not processed yet.', [[`{${app}}`, lagRecords]]);
    const summary = (name: string, help: string, histogram: Histogram, of: typeof commitMs): void => {
      lines.push(`# HELP millrace_streams_${name} ${help}`, `# TYPE millrace_streams_${name} summary`);
      lines.push(`millrace_streams_${name}{${app},quantile="0.5"} ${of.p50 / 1000}`);
      lines.push(`millrace_streams_${name}{${app},quantile="0.99"} ${of.p99 / 1000}`);
      lines.push(`millrace_streams_${name}_sum{${app}} ${histogram.sumMs / 1000}`);
      lines.push(`millrace_streams_${name}_count{${app}} ${histogram.count}`);
    };
    summary('commit_seconds', 'How long commits take.', this.#commitMs, commitMs);
    summary(
      'end_to_end_seconds',
      'From the time of a record to the commit of its results.',
      this.#endToEndMs,
      endToEndMs,
    );
    const ofStores = (field: 'entries' | 'bytes'): (readonly [string, number])[] =>
      Object.entries(stores).map(([store, sizes]) => [`{${app},store="${escapeLabel(store)}"}`, sizes[field]]);
    metric('store_entries', 'gauge', 'Entries of a store in memory.', ofStores('entries'));
    metric('store_bytes', 'gauge', 'About what they take.', ofStores('bytes'));
    return `${lines.join('\n')}\n`;
  }
}

function quantiles(histogram: Histogram): { readonly p50: number; readonly p99: number } {
  return { p50: histogram.quantileMs(0.5), p99: histogram.quantileMs(0.99) };
}

function zero(): Counts {
  return { processedRecords: 0, lateRecords: 0, droppedRecords: 0, skippedRecords: 0, deadLetters: 0, retries: 0 };
}

function escapeLabel(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
