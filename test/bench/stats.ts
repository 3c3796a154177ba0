/** Latencies in buckets of about 3 %: small, quick to fill, easy to send and to add up. */
export class Histogram {
  readonly counts: number[];

  /** `counts` are those of another histogram, as it was sent. */
  constructor(counts: readonly number[] = []) {
    this.counts = Array.from({ length: 900 }, (_, i) => counts[i] ?? 0);
  }

  add(milliseconds: number): void {
    this.counts[bucketOf(Math.min(2 ** 30, Math.max(0, Math.round(milliseconds * 1000))))]++;
  }

  merge(other: Histogram): void {
    other.counts.forEach((n, i) => {
      this.counts[i] += n;
    });
  }

  /** The latency, ms, that the share `p` (0..1) of all stayed within; 0 when nothing was added. */
  percentile(p: number): number {
    const total = this.counts.reduce((sum, n) => sum + n, 0);
    let left = total * p;
    for (let i = 0; i < this.counts.length; i++) {
      left -= this.counts[i];
      if (total > 0 && left <= 0) return lowerBound(i + 1) / 1000;
    }
    return 0;
  }
}

/** Below 64 microseconds one bucket each; above, 32 buckets for each power of two. */
function bucketOf(us: number): number {
  if (us < 64) return us;
  const shift = 26 - Math.clz32(us);
  return (shift << 5) + (us >>> shift);
}

function lowerBound(bucket: number): number {
  if (bucket < 64) return bucket;
  return ((bucket & 31) + 32) * 2 ** ((bucket >> 5) - 1);
}

/** The spread of the runs of one measurement. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
  readonly runs: number;
}

export function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  return { min: sorted[0], median, max: sorted[sorted.length - 1], runs: sorted.length };
}

/** "min / median / max". */
export const showSpread = ({ min, median, max }: Spread, show: (n: number) => string): string =>
  `${show(min)} / ${show(median)} / ${show(max)}`;
