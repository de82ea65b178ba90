import type { Clock } from '@millrace/platform';
import type { HandlerRegistry } from './kafka/handler.ts';
import type { Traffic } from './server/traffic.ts';

/** A broker's figures at one moment. */
export interface BrokerMetrics {
  /** Rates are over the time since the snapshot before the last second, or since the broker was opened. */
  readonly bytesInPerSecond: number;
  readonly bytesOutPerSecond: number;
  /** By the API's name: `Produce`, `Fetch`. */
  readonly requestsPerSecond: Readonly<Record<string, number>>;
  readonly connectionCount: number;
  readonly partitionCount: number;
  /** On disk, over all logs. */
  readonly logBytes: number;
  /** The same and more in Prometheus's text format. */
  prometheus(): string;
}

/** What metrics are read from. */
export interface MetricSources {
  readonly traffic: Traffic;
  readonly handlers: HandlerRegistry;
  readonly connectionCount: number;
  readonly topicCount: number;
  readonly partitionCount: number;
  readonly logBytes: number;
  readonly parkedFetchCount: number;
  readonly tailCacheBytes: number;
}

interface Sample {
  readonly atMs: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly requestCounts: readonly number[];
}

const shortestWindowMs = 1000;

/** Makes snapshots. Nothing is counted per record, and nothing runs between two snapshots. */
export class MetricsReader {
  readonly #clock: Clock;
  readonly #sources: () => MetricSources;
  #before: Sample;
  #last: Sample;

  constructor(clock: Clock, sources: () => MetricSources) {
    this.#clock = clock;
    this.#sources = sources;
    this.#before = { atMs: clock.monotonic(), bytesIn: 0, bytesOut: 0, requestCounts: [] };
    this.#last = this.#before;
  }

  read(): BrokerMetrics {
    const sources = this.#sources();
    const { traffic } = sources;
    const now: Sample = {
      atMs: this.#clock.monotonic(),
      bytesIn: traffic.bytesIn,
      bytesOut: traffic.bytesOut,
      requestCounts: [...traffic.requestCounts],
    };
    if (now.atMs - this.#last.atMs >= shortestWindowMs) {
      this.#before = this.#last;
      this.#last = now;
    }
    const from = now.atMs - this.#before.atMs > 0 ? this.#before : undefined;
    const rate = (count: number, before: number): number =>
      from === undefined ? 0 : ((count - before) * 1000) / (now.atMs - from.atMs);
    const requestsPerSecond: Record<string, number> = {};
    for (const { apiKey, name } of sources.handlers.all) {
      const count = now.requestCounts[apiKey] ?? 0;
      if (count > 0) requestsPerSecond[name] = rate(count, from?.requestCounts[apiKey] ?? 0);
    }
    return {
      bytesInPerSecond: rate(now.bytesIn, from?.bytesIn ?? 0),
      bytesOutPerSecond: rate(now.bytesOut, from?.bytesOut ?? 0),
      requestsPerSecond,
      connectionCount: sources.connectionCount,
      partitionCount: sources.partitionCount,
      logBytes: sources.logBytes,
      prometheus: () => prometheusText(sources, now),
    };
  }
}

function prometheusText(sources: MetricSources, sample: Sample): string {
  const { traffic, handlers } = sources;
  const lines: string[] = [];
  const metric = (name: string, type: 'counter' | 'gauge', help: string, value: number): void => {
    lines.push(`# HELP millrace_${name} ${help}`, `# TYPE millrace_${name} ${type}`, `millrace_${name} ${value}`);
  };
  metric('bytes_in_total', 'counter', 'Bytes received from clients.', sample.bytesIn);
  metric('bytes_out_total', 'counter', 'Bytes sent to clients.', sample.bytesOut);
  lines.push('# HELP millrace_requests_total Requests by API.', '# TYPE millrace_requests_total counter');
  for (const { apiKey, name } of handlers.all) {
    lines.push(`millrace_requests_total{api="${name}"} ${sample.requestCounts[apiKey] ?? 0}`);
  }
  metric('connections', 'gauge', 'Open connections.', sources.connectionCount);
  metric('connections_refused_total', 'counter', 'Connections refused or closed by a limit.', traffic.refusedCount);
  metric('held_request_bytes', 'gauge', 'Bytes of requests not answered.', traffic.heldRequestBytes);
  metric('held_response_bytes', 'gauge', 'Bytes of responses not taken by clients.', traffic.heldResponseBytes);
  metric('parked_fetches', 'gauge', 'Fetches that wait for records.', sources.parkedFetchCount);
  metric('topics', 'gauge', 'Topics, internal ones included.', sources.topicCount);
  metric('partitions', 'gauge', 'Partitions, internal ones included.', sources.partitionCount);
  metric('log_bytes', 'gauge', 'Bytes of all logs.', sources.logBytes);
  metric('tail_cache_bytes', 'gauge', 'Memory of the tails of the logs.', sources.tailCacheBytes);
  return `${lines.join('\n')}\n`;
}
