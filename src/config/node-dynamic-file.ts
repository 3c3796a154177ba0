import { readFile, rename, writeFile } from 'node:fs/promises';
import type Long from 'long';
import type { ServerSpec } from '../node/api.ts';
import { configText } from '../zab/ensemble-config.ts';
import { readProperties } from './properties.ts';
import { VERSION_SUFFIX } from './settings.ts';

/**
 * Keeps the members of an ensemble that has been reconfigured where the next start finds them, as ZooKeeper does: in a file named after the version, which the line `dynamicConfigFile` of
 * the configuration file names from then on. Each file changes as a whole. Resolves to the name of the new file; to undefined when the configuration file has no such line: then it is left as it is.
 */
export async function keepMembers(path: string, version: Long, servers: readonly ServerSpec[]): Promise<string | undefined> {
  const text = await readFile(path, 'latin1');
  const line = readProperties(text).findLast(({ key }) => key === 'dynamicConfigFile');
  if (line === undefined) return undefined;
  const file = `${line.value.replace(VERSION_SUFFIX, '')}.${version.toString(16)}`;
  const members = configText(servers).split('\n').slice(0, -1);
  await replace(file, `${members.join('\n')}\n`);
  const lines = text.split('\n');
  lines[line.line - 1] = `dynamicConfigFile=${file}`;
  await replace(path, lines.join('\n'));
  return file;
}

async function replace(path: string, text: string): Promise<void> {
  const draft = `${path}.tmp`;
  await writeFile(draft, text, { encoding: 'latin1', flush: true });
  await rename(draft, path);
}
