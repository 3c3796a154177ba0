import { readFile, statfs } from 'node:fs/promises';
import { arch, cpus, platform, release, tmpdir, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { bold, dim, red } from '../../examples/support/print.ts';
import { failover } from './failover.ts';
import { join } from './join.ts';
import { commits, heap, reads } from './memory.ts';
import { observer } from './observer.ts';
import { port } from './port.ts';
import { exceeded, line, type Row, type Settings } from './report.ts';
import { writes } from './writes.ts';

const ROWS: readonly Row[] = [writes, port, commits, reads, heap, failover, join, observer];

const USAGE = `npm run bench -- [--quick] [--only NAME] [--dir FOLDER]

  --quick        one short run of each
  --only NAME    one row: ${ROWS.map((row) => row.name).join(', ')}; may be given more than once
  --dir FOLDER   where the replicas keep their data (default: the folder for temporary files)`;

const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  61267: 'ext4',
  16914836: 'tmpfs (NOT durable)',
  1481003842: 'xfs',
  2435016766: 'btrfs',
};

async function describe(folder: string): Promise<string> {
  const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  const processors = cpus();
  const { type } = await statfs(folder);
  return [
    `zab-ensemble ${version}, Node ${process.version}, V8 ${process.versions.v8}, ${platform()} ${release()} ${arch()}`,
    `${processors.length} x ${processors[0]?.model.trim() ?? 'unknown processor'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB`,
    `data on ${FILE_SYSTEMS[type] ?? `file system ${type.toString(16)}`} below ${folder}; replicas and clients share this machine`,
    'Figures: min / median / max of n runs. For comparison, Apache ZooKeeper 3.8.0 on a machine of the kind that the marks were set on (2 cores of an Intel Xeon, 24 GiB,',
    'clients on the same machine): 34,000 writes/s (100 B, 1000 outstanding), 442 heap bytes per znode, a gap of 370 ms after kill -9 of the leader.',
  ].join('\n');
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true },
      dir: { type: 'string', default: tmpdir() },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const unknown = (values.only ?? []).filter((name) => !ROWS.some((row) => row.name === name));
  if (unknown.length > 0) throw new Error(`no row ${unknown.join(', ')}\n${USAGE}`);
  const settings: Settings = { folder: values.dir, quick: values.quick };
  console.log(`${await describe(values.dir)}\n`);
  for (const row of ROWS.filter(({ name }) => values.only?.includes(name) ?? true)) {
    console.log(`${bold(row.name)}  ${dim(row.how)}`);
    const results = await row.run(settings);
    for (const result of results) console.log(line(result));
    for (const result of results.filter(exceeded)) {
      console.log(red(`  ${result.what}: the median is past ${result.limit} ${result.unit}`));
      process.exitCode = 1;
    }
    console.log();
  }
}

await main();
