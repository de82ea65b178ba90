import { describe, expect, it } from 'vitest';
import type { FetchedRecords } from '@millrace/client/bytes';
import { PartitionQueue } from './partition-queue.ts';

type Reader = Parameters<Parameters<FetchedRecords['forEach']>[0]>[0];
interface Row {
  readonly offset: number;
  readonly key?: string | null;
  readonly value?: string | null;
  readonly headers?: readonly (readonly [string, Uint8Array | null])[];
}

/** A fetch whose reader is one reused object, as the client's is. */
function fetched(
  firstOffset: number,
  nextOffset: number,
  rows: readonly Row[],
  highWatermark = nextOffset,
): FetchedRecords {
  const bytes = new TextEncoder().encode(rows.map((row) => `${row.key ?? ''}${row.value ?? ''}`).join(''));
  return {
    topic: 't',
    partition: 0,
    firstOffset,
    nextOffset,
    highWatermark,
    byteLength: bytes.length,
    forEach(visit) {
      const reader: Record<string, unknown> = { bytes };
      let at = 0;
      for (const row of rows) {
        reader['offset'] = row.offset;
        reader['timestampMs'] = row.offset * 10;
        reader['keyPosition'] = at;
        reader['keyLength'] = row.key?.length ?? -1;
        at += row.key?.length ?? 0;
        reader['valuePosition'] = at;
        reader['valueLength'] = row.value?.length ?? -1;
        at += row.value?.length ?? 0;
        reader['headerCount'] = row.headers?.length ?? 0;
        reader['headers'] = () => row.headers ?? [];
        visit(reader as unknown as Reader);
      }
    },
  };
}

const text = (bytes: Uint8Array | null): string | null => (bytes === null ? null : new TextDecoder().decode(bytes));

function drain(queue: PartitionQueue): unknown[] {
  const rows = [];
  while (queue.size > 0) {
    rows.push([queue.offset, queue.timestampMs, text(queue.key), text(queue.value), queue.headers.length]);
    queue.shift();
  }
  return rows;
}

describe('PartitionQueue', () => {
  it('gives the records of several fetches in order, nulls and headers as they are', () => {
    const queue = new PartitionQueue('t', 0, 5);
    const headers = [['trace', new Uint8Array([1])]] as const;
    expect(
      queue.add(
        fetched(5, 8, [
          { offset: 5, key: 'a', value: '1' },
          { offset: 7, key: null, value: '22', headers },
        ]),
      ),
    ).toBe(true);
    expect(queue.add(fetched(8, 10, [{ offset: 9, key: 'ccc', value: null }]))).toBe(true);
    expect(queue.size).toBe(3);
    expect(drain(queue)).toEqual([
      [5, 50, 'a', '1', 0],
      [7, 70, null, '22', 1],
      [9, 90, 'ccc', null, 0],
    ]);
    expect(queue.position).toBe(10);
  });

  it('puts the position after each record, and past what a fetch left out only with its last record', () => {
    const queue = new PartitionQueue('t', 0, 0);
    queue.add(
      fetched(0, 9, [
        { offset: 1, key: 'a' },
        { offset: 3, key: 'b' },
      ]),
    );
    expect(queue.position).toBe(0);
    queue.shift();
    expect(queue.position).toBe(2);
    queue.shift();
    expect(queue.position).toBe(9);
  });

  it('moves over fetches without records, at once when nothing waits before them', () => {
    const queue = new PartitionQueue('t', 0, 0);
    queue.add(fetched(0, 4, []));
    expect(queue.position).toBe(4);
    queue.add(fetched(4, 5, [{ offset: 4 }]));
    queue.add(fetched(5, 7, []));
    queue.add(fetched(7, 8, []));
    expect(queue.position).toBe(4);
    queue.shift();
    expect(queue.position).toBe(8);
    expect(queue.size).toBe(0);
    queue.add(fetched(8, 9, [{ offset: 8, value: 'x' }]));
    expect(drain(queue)).toEqual([[8, 80, null, 'x', 0]]);
  });

  it('refuses a fetch that does not continue it, as one from before a seek', () => {
    const queue = new PartitionQueue('t', 0, 10);
    expect(queue.add(fetched(0, 10, [{ offset: 9 }]))).toBe(false);
    expect(queue.add(fetched(11, 12, [{ offset: 11 }]))).toBe(false);
    expect([queue.size, queue.position]).toEqual([0, 10]);
    expect(queue.add(fetched(10, 12, [{ offset: 10 }, { offset: 11 }]))).toBe(true);
    expect([queue.size, queue.position]).toEqual([2, 10]);
  });

  it.each([255, 256, 257, 1000])('grows to a fetch of %i records, and again uses what it has grown', (count) => {
    const queue = new PartitionQueue('t', 0, 0);
    for (const start of [0, count, 2 * count]) {
      const rows = Array.from({ length: count }, (_, i) => ({
        offset: start + i,
        key: `k${i}`,
        value: `v${start + i}`,
      }));
      queue.add(fetched(start, start + count, rows));
      expect(drain(queue)).toEqual(rows.map((row) => [row.offset, row.offset * 10, row.key, row.value, 0]));
    }
  });
});
