import type { Clock } from '@millrace/platform';
import type { HeaderEntry } from '@millrace/serde';
import { deadLetterHeaders } from '../dead-letters.ts';
import type { ErrorPolicy } from '../errors.ts';
import type { Plan, SinkNode } from '../plan/plan.ts';
import type { SinkRecord } from '../sink.ts';
import type { InputRecord, RecordCollector, RecordFailure } from '../task/ports.ts';
import { SinkAheadError, SinkFailedError } from './errors.ts';
import { SinkOutput, type SinkOutputOptions } from './sink-output.ts';
import { within } from './within.ts';

/** Of a task's input, what a sink needs to know. */
export interface SinkInput {
  readonly topic: string;
  readonly partition: number;
  /** Place of the source in the sub-topology. */
  readonly source: number;
  readonly queue: InputRecord & { readonly position: number; readonly highWatermark: number | undefined };
}

/** What sinks need of their surroundings. */
export interface SinkSurroundings {
  readonly plan: Plan;
  readonly applicationId: string;
  readonly collector: RecordCollector;
  readonly clock: Clock;
  readonly endOffset: (topic: string, partition: number) => Promise<number>;
  readonly onFailure?: ((failure: RecordFailure) => void) | undefined;
  readonly warn: (context: object, message: string) => void;
}

/** A source record, kept until its results are flushed: it is what a dead letter holds. */
interface SourceRecord {
  readonly timestampMs: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly HeaderEntry[];
}

/** How long a sink has to close. */
const closeGraceMs = 5_000;
/** Results that wait for a write, for each sink and partition. */
const maxWaitingResults = 5_000;

interface OpenSink {
  readonly node: SinkNode;
  readonly input: SinkInput;
  readonly output: SinkOutput;
  /** By offset. undefined: the policy makes no dead letters. */
  readonly sources: Map<number, SourceRecord> | undefined;
}

/** The sinks of a task: each has a writer for every source partition that reaches it. */
export class TaskSinks {
  readonly #sinks = new Map<string, OpenSink>();
  readonly #signal: AbortSignal;
  readonly #around: SinkSurroundings;

  private constructor(signal: AbortSignal, around: SinkSurroundings) {
    this.#signal = signal;
    this.#around = around;
  }

  /** @param signal aborts when the task is closed */
  static async open(
    task: { readonly subtopology: number; readonly epoch: number; readonly inputs: readonly SinkInput[] },
    signal: AbortSignal,
    around: SinkSurroundings,
  ): Promise<TaskSinks> {
    const sinks = new TaskSinks(signal, around);
    const { plan } = around;
    const subtopology = plan.subtopologies[task.subtopology]!;
    try {
      for (const node of subtopology.nodes.map((id) => plan.nodes[id]!)) {
        if (node.kind !== 'sink') continue;
        const reaching = sourcesReaching(plan, node.id);
        for (const input of task.inputs) {
          if (reaching.has(subtopology.sources[input.source]!)) await sinks.#open(node, input, task.epoch);
        }
      }
    } catch (error) {
      await sinks.close();
      throw error;
    }
    return sinks;
  }

  static hasSinks(plan: Plan, subtopology: number): boolean {
    return plan.subtopologies[subtopology]!.nodes.some((id) => plan.nodes[id]!.kind === 'sink');
  }

  add(node: SinkNode, record: SinkRecord<unknown, unknown>, topic: string): void {
    const sink = this.#sinks.get(sinkId(node.id, topic))!;
    sink.output.add(record);
    if (sink.sources === undefined || sink.sources.has(record.offset)) return;
    const { offset, timestampMs, key, value, headers } = sink.input.queue;
    if (offset === record.offset) sink.sources.set(offset, { timestampMs, key, value, headers });
  }

  /** Between commits: lets no more than so many results wait. */
  async writeFull(): Promise<void> {
    for (const sink of this.#sinks.values()) {
      if (sink.output.size >= maxWaitingResults)
        await this.#failing(sink, () => sink.output.write(sink.input.queue.position));
    }
  }

  /** Resolves when all results of what has been processed are durable in their targets. @throws {SinkFailedError} */
  async flush(): Promise<void> {
    for (const sink of this.#sinks.values()) {
      await this.#failing(sink, () => sink.output.flush(sink.input.queue.position));
      sink.sources?.clear();
    }
  }

  async #failing({ node, input }: OpenSink, write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      if (this.#signal.aborted) throw error;
      throw new SinkFailedError(node.name, input.topic, input.partition, error);
    }
  }

  /** Waits no longer than five seconds: what was written is flushed, or of no account. */
  async close(): Promise<void> {
    await Promise.all([...this.#sinks.values()].map((sink) => this.#close(sink)));
  }

  async #close({ node, input: { topic, partition }, output }: OpenSink): Promise<void> {
    const { clock, warn } = this.#around;
    if (await within(clock, closeGraceMs, output.close())) return;
    const message = `The sink '${node.name}' has not closed within ${closeGraceMs} ms. It is not waited for any more.`;
    warn({ sink: node.name, topic, partition }, message);
  }

  async #open(node: SinkNode, input: SinkInput, epoch: number): Promise<void> {
    const around = this.#around;
    const { topic, partition } = input;
    const { applicationId } = around;
    const writer = await node.sink.open({ applicationId, topic, partition, epoch, signal: this.#signal });
    try {
      await checkNotAhead(writer.nextOffset, node, input, around);
    } catch (error) {
      await writer.close();
      throw error;
    }
    const final = finalPolicy(node.onError);
    const sources = typeof final === 'object' ? new Map<number, SourceRecord>() : undefined;
    const output = new SinkOutput(writer, input.queue.position, {
      clock: around.clock,
      signal: this.#signal,
      retry: retryOf(node.onError),
      onBusy: (error) => around.warn({ sink: node.name, topic, partition, error }, (error as Error).message),
      onRefused:
        final === 'fail' ? undefined : (record, error) => letGo(node, input, record, error, sources, final, around),
    });
    this.#sinks.set(sinkId(node.id, topic), { node, input, output, sources });
  }
}

/**
 * The end is asked for anew where the one as of the assignment will not do: a former owner may have read further. It cannot any
 * more, as the sink was opened since.
 * @throws {SinkAheadError}
 */
async function checkNotAhead(
  nextOffset = 0,
  { name }: SinkNode,
  { topic, partition, queue }: SinkInput,
  around: SinkSurroundings,
): Promise<void> {
  if (nextOffset <= (queue.highWatermark ?? 0)) return;
  const endOffset = await around.endOffset(topic, partition);
  if (nextOffset > endOffset) throw new SinkAheadError(name, topic, partition, nextOffset, endOffset);
}

type FinalPolicy = 'fail' | 'skip' | { readonly deadLetter: string };

function letGo(
  node: SinkNode,
  { topic, partition }: SinkInput,
  record: SinkRecord<unknown, unknown>,
  error: unknown,
  sources: ReadonlyMap<number, SourceRecord> | undefined,
  policy: FinalPolicy,
  around: SinkSurroundings,
): void {
  const { offset } = record;
  const original = sources?.get(offset);
  const timestampMs = original?.timestampMs ?? record.timestampMs;
  const source = { topic, partition, offset, timestampMs };
  if (typeof policy === 'object') {
    const headers = deadLetterHeaders(around.applicationId, { node: node.name, source }, error);
    around.collector.send(policy.deadLetter, -1, timestampMs, original?.key ?? null, original?.value ?? null, [
      ...(original?.headers ?? []),
      ...headers,
    ]);
  }
  const outcome = typeof policy === 'object' ? 'deadLettered' : 'skipped';
  around.onFailure?.({ node: node.name, error, outcome, source });
}

function finalPolicy(policy: ErrorPolicy): FinalPolicy {
  return typeof policy === 'object' && 'retries' in policy ? (policy.then ?? 'fail') : policy;
}

function retryOf(policy: ErrorPolicy): SinkOutputOptions['retry'] {
  if (typeof policy !== 'object' || !('retries' in policy)) return undefined;
  const { retries, backoffMs = 100, maxBackoffMs = 10_000, when } = policy;
  return (error, attempt) =>
    attempt < retries && when?.(error) !== false ? Math.min(backoffMs * 2 ** attempt, maxBackoffMs) : undefined;
}

function sinkId(node: number, topic: string): string {
  return `${node}/${topic}`;
}

/** Ids of the source nodes from which a node is reached. */
function sourcesReaching(plan: Plan, node: number): ReadonlySet<number> {
  const found = new Set<number>();
  const seen = new Set<number>();
  const visit = (id: number): void => {
    if (seen.has(id)) return;
    seen.add(id);
    const { kind, inputs } = plan.nodes[id]!;
    if (kind === 'source') found.add(id);
    inputs.forEach(visit);
  };
  visit(node);
  return found;
}
