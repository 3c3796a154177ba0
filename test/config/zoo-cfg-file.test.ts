import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { configFromZooCfg } from '../../src/index.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'zab-cfg-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function file(name: string, text: string | Uint8Array): Promise<string> {
  await writeFile(join(folder, name), text);
  return join(folder, name);
}

const SERVERS = 'server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\n';

test('reads myid in the data directory', async () => {
  await file('myid', '3\n');
  const path = await file('zoo.cfg', `dataDir=${folder}\nclientPort=2181\nautopurge.purgeInterval=1\n${SERVERS}`);
  const { options, warnings } = await configFromZooCfg(path);
  expect(options).toMatchObject({ id: 3, dataDir: folder, standalone: false });
  expect(options.servers).toHaveLength(3);
  expect(warnings).toEqual([]);
});

test('reads the dynamic file', async () => {
  await file('myid', '2\n');
  const dynamic = await file('zoo.cfg.dynamic.100000000', SERVERS.replace('b:1:2', 'b:1:2:observer;2182'));
  const path = await file('zoo.cfg', `dataDir=${folder}\ndynamicConfigFile=${dynamic}\n`);
  const { options } = await configFromZooCfg(path);
  expect(options).toMatchObject({ id: 2, clientPort: 2182 });
  expect(options.servers.map(({ role }) => role)).toEqual(['participant', 'observer', 'participant']);
});

test('reads bytes as Java does, in ISO 8859-1', async () => {
  const path = await file(
    'zoo.cfg',
    Uint8Array.from('dataDir=/d\u00e9p\u00f4t\n', (letter) => letter.charCodeAt(0)),
  );
  expect((await configFromZooCfg(path)).options.dataDir).toBe('/d\u00e9p\u00f4t');
});

test('names the file in each line of an error', async () => {
  const path = await file('zoo.cfg', `dataDir=${folder}\ntickTime=x\n${SERVERS}`);
  await expect(configFromZooCfg(path)).rejects.toMatchObject({
    code: 'BAD_OPTIONS',
    message:
      `${path}: line 2: tickTime=x: must be a whole number from 1 to 3600000\n` +
      `${path}: myid: there is no such file in dataDir, which must hold the number of this server`,
  });
});

test.each([
  ['no such file', 'none.cfg', /none\.cfg: there is no such file$/],
  ['a folder', '.', /: EISDIR/],
])('%s', async (_, name, message) => {
  await expect(configFromZooCfg(join(folder, name))).rejects.toMatchObject({
    code: 'BAD_OPTIONS',
    message: expect.stringMatching(message),
  });
});

test('a dynamic file that is not there', async () => {
  const path = await file('zoo.cfg', `dataDir=${folder}\ndynamicConfigFile=${folder}/none\n`);
  await expect(configFromZooCfg(path)).rejects.toThrow(`${path}: dynamicConfigFile: there is no such file`);
});

test('datadir.autocreate=false wants both folders', async () => {
  const text = `dataDir=${folder}/data\ndataLogDir=${folder}/log\ndatadir.autocreate=false\n`;
  const path = await file('zoo.cfg', text);
  const refusal = (name: string) => `${path}: ${folder}/${name}: there is no such folder, and datadir.autocreate=false`;
  await expect(configFromZooCfg(path)).rejects.toThrow(refusal('data'));
  await mkdir(join(folder, 'data'));
  await expect(configFromZooCfg(path)).rejects.toThrow(refusal('log'));
  await mkdir(join(folder, 'log'));
  expect((await configFromZooCfg(path)).options.dataLogDir).toBe(`${folder}/log`);
});
