import type { SinkNode } from '../plan/plan.ts';
import type { Sink, SinkRecord } from '../sink.ts';

type AnyRecord = SinkRecord<unknown, unknown>;
type Source = { readonly topic: string; readonly partition: number };

/** Targets of sinks that remember where they stand, as a transactional one does. They outlive a crash. */
export class SimulatedSinks {
  readonly #written = new Map<Sink<any, any>, AnyRecord[]>();
  /** By sink, topic and partition: the first source offset whose effects the target does not have. */
  readonly #positions = new Map<string, number>();
  #staged: { readonly node: SinkNode; readonly record: AnyRecord; readonly source: Source }[] = [];

  stage(node: SinkNode, record: AnyRecord, source: Source): void {
    const position = this.#positions.get(idOf(node.name, source)) ?? 0;
    if (record.offset >= position) this.#staged.push({ node, record, source });
  }

  /** @param positions where the sources will stand after this commit */
  flush(nodes: readonly SinkNode[], positions: readonly (Source & { readonly offset: number })[]): void {
    for (const { node, record } of this.#staged) {
      const records = this.#written.get(node.sink) ?? [];
      records.push(record);
      this.#written.set(node.sink, records);
    }
    this.#staged = [];
    for (const node of nodes) {
      for (const position of positions) this.#positions.set(idOf(node.name, position), position.offset);
    }
  }

  crash(): void {
    this.#staged = [];
  }

  take(sink: Sink<any, any>): AnyRecord[] {
    const records = this.#written.get(sink) ?? [];
    this.#written.delete(sink);
    return records;
  }
}

function idOf(sink: string, { topic, partition }: Source): string {
  return `${sink} ${topic} ${partition}`;
}
