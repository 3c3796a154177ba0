import { fileURLToPath } from 'node:url';
import { bold, dim, say } from '../../../examples/support/print.ts';
import { type MoveReport, type MoveStep, type Order, rollingMove } from '../rolling-move.ts';
import { CLIENT_KINDS } from './crowd.ts';
import { PROGRAMS } from './seat.ts';

/* Moves an ensemble over and back, and prints what each step took. */

const command = [fileURLToPath(new URL('../../../dist/cli.js', import.meta.url))];
const ORDERS: readonly Order[] = ['leader last', 'leader first'];

const ms = (time: number): string => time.toFixed(0);

function row({ server, to, wasLeader, stopping, starting, syncing, leader, gaps }: MoveStep): string[] {
  const times = [stopping, starting, syncing].map(ms);
  const waits = CLIENT_KINDS.flatMap((kind) => [ms(gaps[kind].all), ms(gaps[kind].one)]);
  return [`${server}${wasLeader ? ', leader' : ''}`, PROGRAMS[to], ...times, `${leader.id}, ${PROGRAMS[leader.kind]}`, ...waits];
}

function table({ steps }: MoveReport): string {
  const head = ['server', 'now', 'stop', 'start', 'sync', 'leader then', 'ours', 'one', 'kazoo', 'one'];
  const rows = [head, ...steps.map(row)];
  const widths = head.map((_, column) => Math.max(...rows.map((cells) => cells[column].length)));
  const isText = (column: number): boolean => column < 2 || column === 5;
  const line = (cells: readonly string[]): string =>
    cells.map((cell, i) => (isText(i) ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ');
  return rows.map(line).join('\n');
}

for (const order of ORDERS) {
  console.log(`${bold(`Three servers of Apache ZooKeeper move to zab-ensemble and back, ${order}`)}\n`);
  const report = await rollingMove({ order, command, say });
  console.log(`\n${table(report)}\n`);
  console.log(
    dim(
      'Times in ms. stop: SIGTERM until the process is gone; start: until the other program serves; sync: until it has all and the leader counts it in. Under each kind of client the longest time\n' +
        'without an acknowledged write, first while none of them had one, then of the one that waited longest.',
    ),
  );
  console.log(
    `\n${report.acknowledged} writes acknowledged, none lost; no session ended; every watch has told; the trees are equal (${report.znodes} znodes).\n`,
  );
}
