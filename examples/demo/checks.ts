import type { Row, WriteReport } from './replica.ts';

/** A claim of the demo, and every way in which it does not hold. */
export interface Check {
  readonly what: string;
  readonly wrong: readonly string[];
}

/** Holds what the writer was told against what each replica has. `lists` are in the order of creation. */
export function verify(writes: number, report: WriteReport, lists: ReadonlyMap<number, readonly Row[]>): Check[] {
  const replicas = [...lists];
  const [, reference] = replicas[0];
  return [
    {
      what: `the writer has a zxid for each of ${writes} writes`,
      wrong: range(writes)
        .filter((number) => typeof report.zxids[number] !== 'string')
        .map((number) => `no zxid for ${number}`),
    },
    ...replicas.map(([id, rows]) => ({
      what: `replica ${id} has every acknowledged write, under its zxid and with its value`,
      wrong: missing(report, rows),
    })),
    ...replicas.map(([id, rows]) => ({
      what: `replica ${id} has nothing else`,
      wrong: rows.length === writes ? [] : [`${rows.length} znodes instead of ${writes}`],
    })),
    ...replicas.slice(1).map(([id, rows]) => ({
      what: `replica ${id} has them in the same order as replica ${replicas[0][0]}`,
      wrong: differences(reference, rows),
    })),
    { what: 'writes acknowledged at the first try took effect in the order in which they were sent', wrong: outOfOrder(report) },
  ];
}

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

function missing(report: WriteReport, rows: readonly Row[]): string[] {
  const byNumber = new Map(rows.map((row) => [Number(row.name.slice(1)), row]));
  return report.zxids.flatMap((zxid, number) => {
    const row = byNumber.get(number);
    if (row === undefined) return [`write ${number} is missing`];
    return row.czxid === zxid && row.value === String(number)
      ? []
      : [`write ${number} has zxid ${row.czxid} and value ${row.value}, acknowledged was ${zxid}`];
  });
}

function differences(a: readonly Row[], b: readonly Row[]): string[] {
  return a.flatMap((row, i) => (row.name === b[i]?.name && row.czxid === b[i].czxid ? [] : [`place ${i}: ${row.name} and ${b[i]?.name}`]));
}

function outOfOrder(report: WriteReport): string[] {
  const wrong: string[] = [];
  let last = -1;
  report.zxids.forEach((zxid, number) => {
    if (!report.firstTry[number]) return;
    if (last >= 0 && BigInt(zxid) <= BigInt(report.zxids[last]))
      wrong.push(`${number} (${zxid}) is not after ${last} (${report.zxids[last]})`);
    last = number;
  });
  return wrong;
}
