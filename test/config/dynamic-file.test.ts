import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Long from 'long';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { configFromZooCfg, keepMembers, type ServerSpec } from '../../src/index.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'zab-dynamic-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const member = (id: number, more: Partial<ServerSpec> = {}): ServerSpec => ({
  id,
  host: '::1',
  quorumPort: 10 + id,
  electionPort: 20 + id,
  ...more,
});
const version = (hex: string): Long => Long.fromString(hex, true, 16);

test('the members go to a file named after the version, which the next start reads', async () => {
  const file = join(folder, 'zoo.cfg');
  const dynamic = join(folder, 'zoo.cfg.dynamic');
  writeFileSync(dynamic, 'server.1=a:1:2\n');
  writeFileSync(join(folder, 'myid'), '2');
  const lines = [
    '# my server',
    `dataDir=${folder}`,
    'dynamicConfigFile = old',
    `  dynamicConfigFile: ${dynamic}.100000000 `,
    'tickTime=1234',
  ];
  writeFileSync(file, lines.join('\n'));
  const servers = [
    member(1, { group: 1, weight: 2 }),
    member(2, { group: 1, client: { host: '10.0.0.1', port: 2181 } }),
    member(9, { role: 'observer' }),
  ];
  expect(await keepMembers(file, version('10000000a'), servers)).toBe(`${dynamic}.10000000a`);
  expect(readFileSync(file, 'utf8').split('\n')).toEqual([...lines.slice(0, 3), `dynamicConfigFile=${dynamic}.10000000a`, 'tickTime=1234']);
  const { options } = await configFromZooCfg(file);
  expect(options).toMatchObject({ id: 2, tickTime: 1234, clientPort: 2181, configVersion: version('10000000a') });
  expect(options.servers).toMatchObject([
    { id: 1, host: '::1', quorumPort: 11, electionPort: 21, role: 'participant', group: 1, weight: 2 },
    { id: 2, role: 'participant', group: 1, weight: 1 },
    { id: 9, role: 'observer' },
  ]);
  await keepMembers(file, version('200000001'), servers);
  expect(readdirSync(folder).sort()).toEqual([
    'myid',
    'zoo.cfg',
    'zoo.cfg.dynamic',
    'zoo.cfg.dynamic.10000000a',
    'zoo.cfg.dynamic.200000001',
  ]);
});

test('a file that names no other one is left as it is', async () => {
  const file = join(folder, 'zoo.cfg');
  writeFileSync(file, 'dataDir=/d\nserver.1=a:1:2\n');
  expect(await keepMembers(file, version('5'), [member(1)])).toBeUndefined();
  expect(readFileSync(file, 'utf8')).toBe('dataDir=/d\nserver.1=a:1:2\n');
});
