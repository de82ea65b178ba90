import { describe, expect, it } from 'vitest';
import { MillraceError } from '@millrace/platform';
import { VirtualClock } from '@millrace/platform/simulated';
import { recordHeaders } from '@millrace/serde';
import { SinkBusyError } from '../sink.ts';
import { SinkOutput, type SinkOutputOptions } from './sink-output.ts';

const row = (offset: number, value = `v${offset}`, ordinal = 0) => ({
  key: 'k',
  value,
  timestampMs: offset,
  headers: recordHeaders(),
  offset,
  ordinal,
});
/** As the sinks' package has them. */
class TargetError extends MillraceError {
  readonly code: string;
  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

const busy = (retryAfterMs: number): Error => new SinkBusyError({ retryAfterMs });

/** A target that refuses what `refuse` says, and remembers every call. */
function target(
  nextOffset: number | undefined,
  refuse: (values: unknown[], call: number) => Error | undefined = () => undefined,
) {
  const calls: string[] = [];
  let count = 0;
  return {
    calls,
    writer: {
      nextOffset,
      write: async (batch: { firstOffset: number; lastOffset: number; records: readonly { value: unknown }[] }) => {
        const values = batch.records.map(({ value }) => value);
        const error = refuse(values, count++);
        calls.push(
          `${error === undefined ? 'write' : 'refuse'} ${batch.firstOffset}-${batch.lastOffset} ${values.join(',')}`,
        );
        if (error !== undefined) throw error;
      },
      flush: async () => void calls.push('flush'),
      close: async () => void calls.push('close'),
    },
  };
}

const options = (more: Partial<SinkOutputOptions> = {}): SinkOutputOptions => ({
  clock: new VirtualClock(),
  signal: new AbortController().signal,
  ...more,
});

describe('SinkOutput', () => {
  it('covers source offsets without gap or overlap, also those without results', async () => {
    const { calls, writer } = target(undefined);
    const output = new SinkOutput(writer, 10, options());
    output.add(row(11));
    output.add(row(12, 'a', 0));
    output.add(row(12, 'b', 1));
    await output.write(15);
    await output.write(20); // nothing came of 15 to 19
    output.add(row(22));
    await output.flush(25);
    await output.flush(30);
    await output.close();
    expect(calls).toEqual(['write 10-14 v11,a,b', 'write 15-24 v22', 'flush', 'close']);
  });

  it('drops what the target has already, and begins at its position', async () => {
    const { calls, writer } = target(12);
    const output = new SinkOutput(writer, 10, options());
    for (const offset of [10, 11, 12, 13]) output.add(row(offset));
    expect(output.size).toBe(2);
    await output.flush(14);
    expect(calls).toEqual(['write 12-13 v12,v13', 'flush']);
  });

  it('sends the same batch again when the target is busy, for as long as that takes', async () => {
    const clock = new VirtualClock();
    const cause = new Error('the disk is full');
    const { calls, writer } = target(undefined, (_, call) =>
      call < 3 ? new SinkBusyError({ retryAfterMs: 500, cause }) : undefined,
    );
    const told: unknown[] = [];
    const output = new SinkOutput(writer, 0, options({ clock, onBusy: (error) => told.push(error) }));
    output.add(row(0));
    const written = output.write(1);
    await clock.advance(1499);
    expect(calls).toEqual(['refuse 0-0 v0', 'refuse 0-0 v0', 'refuse 0-0 v0']);
    await clock.advance(1);
    await written;
    expect(calls[3]).toBe('write 0-0 v0');
    expect(told).toEqual([expect.objectContaining({ cause })]); // once, and why
    expect(String(told[0])).toContain('the disk is full');
  });

  it('stops waiting when the partition is taken away', async () => {
    const clock = new VirtualClock();
    const taken = new AbortController();
    const { calls, writer } = target(undefined, () => busy(60_000));
    const output = new SinkOutput(writer, 0, options({ clock, signal: taken.signal }));
    output.add(row(0));
    const written = output.write(1);
    taken.abort(new Error('revoked'));
    await expect(written).rejects.toThrow('revoked');
    expect(calls).toEqual(['refuse 0-0 v0']);
  });

  it('retries as the policy says, then fails with the last error', async () => {
    const clock = new VirtualClock();
    const { calls, writer } = target(undefined, (_, call) => new Error(`down ${call}`));
    const retry = (_: unknown, attempt: number): number | undefined => (attempt < 2 ? 100 * 2 ** attempt : undefined);
    const output = new SinkOutput(writer, 0, options({ clock, retry }));
    output.add(row(0));
    const written = expect(output.write(1)).rejects.toThrow('down 2');
    await clock.advance(300);
    await written;
    expect(calls).toHaveLength(3);
  });

  it('finds the records that are refused and lets them go, the results of one source record together', async () => {
    const { calls, writer } = target(undefined, (values) => (values.includes('bad') ? new Error('400') : undefined));
    const refused: unknown[] = [];
    const output = new SinkOutput(
      writer,
      0,
      options({ onRefused: ({ offset, value }) => refused.push([offset, value]) }),
    );
    output.add(row(1));
    output.add(row(3, 'bad', 0));
    output.add(row(3, 'fine', 1));
    output.add(row(7));
    await output.flush(9);
    expect(calls).toEqual([
      'refuse 0-8 v1,bad,fine,v7',
      'write 0-2 v1',
      'refuse 3-6 bad,fine',
      'write 3-8 v7',
      'flush',
    ]);
    expect(refused).toEqual([
      [3, 'bad'],
      [3, 'fine'],
    ]);
  });

  it.each(['FENCED', 'SINK_POSITION_LOST'])(
    'lets no record go for %s, which is the fault of none, and does not try it again',
    async (code) => {
      const { calls, writer } = target(undefined, () => new TargetError(code));
      const refused: unknown[] = [];
      const output = new SinkOutput(
        writer,
        0,
        options({ retry: () => 0, onRefused: ({ value }) => refused.push(value) }),
      );
      output.add(row(0));
      output.add(row(1));
      await expect(output.write(2)).rejects.toMatchObject({ code });
      expect(calls).toEqual(['refuse 0-1 v0,v1']);
      expect(refused).toEqual([]);
    },
  );

  it("stops looking for refused records when the partition turns out to be another owner's", async () => {
    const { calls, writer } = target(undefined, (_, call) =>
      call === 0 ? new Error('400') : new TargetError('FENCED'),
    );
    const refused: unknown[] = [];
    const output = new SinkOutput(writer, 0, options({ onRefused: ({ value }) => refused.push(value) }));
    output.add(row(0));
    output.add(row(1));
    await expect(output.write(2)).rejects.toMatchObject({ code: 'FENCED' });
    expect(calls).toEqual(['refuse 0-1 v0,v1', 'refuse 0-0 v0']);
    expect(refused).toEqual([]);
  });
});
