import { readFile, stat } from 'node:fs/promises';
import { ZabError } from '../model/errors.ts';
import { readProperties } from './properties.ts';
import type { ZooCfgOptions } from './settings.ts';
import { parseZooCfg } from './zoo-cfg.ts';

/** What `configFromZooCfg` found. */
export interface ZooCfgFile {
  /** For `createEnsembleNode`. */
  readonly options: ZooCfgOptions;
  /** What the server does otherwise than the file says, one line each. */
  readonly warnings: string[];
}

/**
 * Reads a ZooKeeper configuration file, `myid` in its data directory, and the dynamic file that it may name. Rejects with a ZabError with code BAD_OPTIONS that names the
 * file and everything that is wrong in it, and when the file cannot be read. See {@link parseZooCfg} for what is taken, warned of and refused.
 */
export async function configFromZooCfg(path: string): Promise<ZooCfgFile> {
  const text = await contentOf(path);
  if (text === undefined) throw new ZabError('BAD_OPTIONS', `${path}: there is no such file`);
  const dataDir = settingIn(text, 'dataDir');
  const dynamicFile = settingIn(text, 'dynamicConfigFile');
  const myid = dataDir === undefined ? undefined : await contentOf(`${dataDir}/myid`);
  const dynamicText = dynamicFile === undefined ? undefined : await contentOf(dynamicFile);
  try {
    const { options, warnings, autocreate } = parseZooCfg(text, { myid, dynamicText });
    if (!autocreate) await mustExist(options);
    return { options, warnings };
  } catch (error) {
    if (!(error instanceof ZabError)) throw error;
    const lines = error.message.split('\n').map((line) => `${path}: ${line}`);
    throw new ZabError('BAD_OPTIONS', lines.join('\n'));
  }
}

/** Undefined when there is no such file. In ISO 8859-1, as Java reads these files. */
async function contentOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new ZabError('BAD_OPTIONS', `${path}: ${(error as Error).message}`, undefined, undefined, { cause: error });
  }
}

/** A value that must be known before the file can be read as a whole; errors are found then. */
function settingIn(text: string, key: string): string | undefined {
  try {
    return readProperties(text).findLast((property) => property.key === key)?.value;
  } catch {
    return undefined;
  }
}

async function mustExist({ dataDir, dataLogDir = dataDir }: ZooCfgOptions): Promise<void> {
  for (const folder of new Set([dataDir, dataLogDir])) {
    const found = await stat(folder).catch(() => undefined);
    if (!found?.isDirectory()) throw new ZabError('BAD_OPTIONS', `${folder}: there is no such folder, and datadir.autocreate=false`);
  }
}
