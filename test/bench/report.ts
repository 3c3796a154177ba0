import { type Spread, showSpread } from './stats.ts';

/** What a row of the bench is run with. */
export interface Settings {
  /** Folder for the data of replicas. */
  readonly folder: string;
  readonly quick: boolean;
}

/** One line of the result. */
export interface Result {
  readonly what: string;
  readonly unit: string;
  readonly value: Spread;
  readonly show: (n: number) => string;
  /** Further figures of the same runs. */
  readonly note?: string;
  /** The mark to reach, and whether more is better. */
  readonly mark?: { readonly value: number; readonly better: 'more' | 'less' };
  /** Past this the command fails. */
  readonly limit?: number;
}

/** A measurement that can be asked for by name. */
export interface Row {
  readonly name: string;
  /** What is done, in a sentence or two. */
  readonly how: string;
  run(settings: Settings): Promise<Result[]>;
}

export const whole = (n: number): string => Math.round(n).toLocaleString('en-GB');
export const tenths = (n: number): string => n.toFixed(1);

export function line({ what, unit, value, show, note, mark }: Result): string {
  const figures = `${showSpread(value, show)} ${unit}`;
  const verdict = mark === undefined ? '' : `mark ${show(mark.value)}: ${meets(value.median, mark) ? 'reached' : 'MISSED'}`;
  return `  ${what.padEnd(46)} ${figures.padEnd(46)} n=${value.runs}  ${[note ?? '', verdict].filter((s) => s !== '').join('; ')}`;
}

const meets = (median: number, mark: { value: number; better: 'more' | 'less' }): boolean =>
  mark.better === 'more' ? median >= mark.value : median <= mark.value;

export const exceeded = ({ value, limit }: Result): boolean => limit !== undefined && value.median > limit;
