const firstBoundMs = 0.05;
const growth = 2 ** 0.25;
const bucketCount = 128; // the last bound is over two days

/**
 * Durations in buckets that grow by 19 % each: a quantile is right to that much, in a kilobyte, whatever is put in. Forgets by
 * halving, so that it tells of the last minutes rather than of all time.
 */
export class Histogram {
  readonly #counts = new Float64Array(bucketCount);
  count = 0;
  sumMs = 0;
  #weight = 0;

  record(ms: number): void {
    this.count++;
    this.sumMs += Math.max(0, ms);
    this.#weight++;
    this.#counts[bucketOf(ms)]!++;
  }

  /** Upper bound of the bucket that holds the quantile; 0 when nothing was recorded. */
  quantileMs(quantile: number): number {
    let left = quantile * this.#weight;
    if (this.#weight === 0) return 0;
    for (let bucket = 0; bucket < bucketCount; bucket++) {
      left -= this.#counts[bucket]!;
      if (left <= 0 && this.#counts[bucket]! > 0) return boundOf(bucket);
    }
    return boundOf(bucketCount - 1);
  }

  /** What was recorded until now counts half from here on. */
  decay(): void {
    this.#weight = 0;
    for (let bucket = 0; bucket < bucketCount; bucket++) {
      const halved = this.#counts[bucket]! / 2;
      this.#counts[bucket] = halved < 0.01 ? 0 : halved;
      this.#weight += this.#counts[bucket]!;
    }
  }
}

function bucketOf(ms: number): number {
  if (!(ms > firstBoundMs)) return 0;
  return Math.min(bucketCount - 1, Math.ceil(Math.log(ms / firstBoundMs) / Math.log(growth) - 1e-9));
}

function boundOf(bucket: number): number {
  return Number((firstBoundMs * growth ** bucket).toPrecision(3));
}
