import { kafkaTool } from './kafka-server.ts';

export interface DumpedRecord {
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: string | null;
  readonly value: string | null;
}

/** What Kafka's own `kafka-dump-log` makes of files, its text as it is. Fails where the tool finds one wrong. */
export async function dumpLog(files: readonly string[], options: readonly string[] = []): Promise<string> {
  const text = await kafkaTool('org.apache.kafka.tools.DumpLogSegments', [
    '--files',
    files.join(','),
    '--deep-iteration',
    '--print-data-log',
    ...options,
  ]);
  const complaint = /isvalid: false|Found .*mismatch.*|Found out-of-order.*|Could not .*/.exec(text);
  if (complaint !== null) throw new Error(`kafka-dump-log says of ${files.join(', ')}: ${complaint[0]}`);
  return text;
}

/** The data records in it; control records are left out. */
export function recordsIn(dump: string): DumpedRecord[] {
  return dump
    .split('\n')
    .filter((line) => line.startsWith('| offset:') && !line.includes('endTxnMarker:'))
    .map((line) => ({
      offset: Number(/offset: (\d+)/.exec(line)![1]),
      timestampMs: Number(/CreateTime: (-?\d+)/.exec(line)![1]),
      key: / key: (.*?)(?= payload: |$)/.exec(line)?.[1] ?? null,
      value: / payload: (.*)$/.exec(line)?.[1] ?? null,
    }));
}
