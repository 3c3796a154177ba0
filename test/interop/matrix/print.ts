import { asOtherClients, CLIENT_DIFFERENCES, compare, type Difference, SERVER_DIFFERENCES } from './differences.ts';
import { type BuiltDriver, type Plays, playKey } from './play.ts';
import type { Step } from './record.ts';

/** Prints a row for each client and what differs why. */
export function printMatrix(drivers: readonly BuiltDriver[], sizes: readonly string[], plays: Plays): void {
  const listed = new Set<Difference>();
  const rows = [['client', ...sizes.map((size) => `ours against Apache, ${size}`), 'not in the library']];
  for (const { kind, missing } of drivers) {
    if (missing !== undefined) {
      rows.push([kind.name, 'NOT PLAYED: IT COULD NOT BE INSTALLED', ...sizes.slice(1).map(() => ''), '']);
      continue;
    }
    const steps = plays.get(playKey(kind.name, `Apache, ${sizes[0]}`))?.steps ?? [];
    rows.push([kind.name, ...sizes.map((size) => serverCell(kind.name, size, plays, listed)), unsupported(steps)]);
  }
  rows.push(['ours for java, at Apache', ...sizes.map((size) => clientCell(size, plays, listed)), '']);
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const table = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]))
      .join('  ')
      .trimEnd(),
  );
  const reasons = [...listed].map(({ chapter, reason }) => `- ${chapter}: ${reason}`);
  const leftOut = drivers.flatMap(({ kind }) =>
    Object.entries(kind.leavesOut ?? {}).map(([name, why]) => `- ${kind.name}, ${name}: ${why}`),
  );
  const times = [...plays].map(([name, { seconds }]) => `${name} ${seconds.toFixed(0)} s`);
  console.log(
    [
      '',
      ...table,
      '',
      'Differences, listed:',
      ...new Set(reasons),
      '',
      'Chapters left out:',
      ...leftOut,
      '',
      `Times: ${times.join(', ')}`,
      '',
    ].join('\n'),
  );
}

function serverCell(client: string, size: string, plays: Plays, listed: Set<Difference>): string {
  const [theirs, ours] = [plays.get(playKey(client, `Apache, ${size}`)), plays.get(playKey(client, `ours, ${size}`))];
  if (theirs === undefined || ours === undefined || theirs.error !== undefined || ours.error !== undefined) return 'BROKE OFF';
  return cell(theirs.steps, ours.steps, SERVER_DIFFERENCES, client, listed);
}

function clientCell(size: string, plays: Plays, listed: Set<Difference>): string {
  const [java, ours] = [plays.get(playKey('java', `Apache, ${size}`)), plays.get(playKey('ours', `Apache, ${size}`))];
  if (java === undefined || ours === undefined || java.error !== undefined || ours.error !== undefined) return 'BROKE OFF';
  return cell(asOtherClients(java.steps), asOtherClients(ours.steps), CLIENT_DIFFERENCES, 'ours', listed);
}

function cell(
  theirs: readonly Step[],
  ours: readonly Step[],
  differences: readonly Difference[],
  client: string,
  all: Set<Difference>,
): string {
  const { equal, listed, unlisted } = compare(theirs, ours, differences, client);
  for (const difference of listed) all.add(difference);
  const wrong = unlisted.length === 0 ? '' : `, ${unlisted.length} UNEXPLAINED`;
  return `${equal} of ${theirs.length} equal, ${listed.length} listed${wrong}`;
}

/** What the library has no means for, as its driver says. */
function unsupported(steps: readonly Step[]): string {
  const what = steps.flatMap(({ answer }) => /^\{"unsupported":"(.*)"\}$/.exec(answer)?.[1] ?? []);
  return what.length === 0 ? '' : `${what.length} steps: ${[...new Set(what)].join(', ')}`;
}
