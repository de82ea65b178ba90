import Table from 'cli-table3';

/** One thing measured, over several runs. */
export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly values: readonly number[];
  /** What the project means to reach. */
  readonly target?: { readonly value: number; readonly isAtMost?: boolean } | undefined;
  /** The same, measured on a peer in the same run. */
  readonly peer?: { readonly name: string; readonly values: readonly number[] } | undefined;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Medians with their span, against the target and the peer. */
export function report(figures: readonly Figure[]): string {
  const table = new Table({
    head: ['figure', 'median', 'min … max', 'target', 'peer', 'ratio'],
    colAligns: ['left', 'right', 'right', 'left', 'left', 'right'],
    style: { head: [], border: [] },
  });
  for (const { name, unit, values, target, peer } of figures) {
    const mid = median(values);
    table.push([
      name,
      `${rounded(mid)} ${unit}`,
      `${rounded(Math.min(...values))} … ${rounded(Math.max(...values))}`,
      target === undefined ? '' : verdict(mid, target),
      peer === undefined ? '' : `${peer.name}: ${rounded(median(peer.values))}`,
      peer === undefined ? '' : `${(mid / median(peer.values)).toFixed(2)}×`,
    ]);
  }
  return table.toString();
}

function verdict(value: number, target: NonNullable<Figure['target']>): string {
  const isReached = target.isAtMost ? value <= target.value : value >= target.value;
  return `${target.isAtMost ? '≤' : '≥'} ${rounded(target.value)} ${isReached ? 'reached' : 'missed'}`;
}

function rounded(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toFixed(1);
}
