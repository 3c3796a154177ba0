import { freemem, homedir, hostname, release, totalmem, type, userInfo } from 'node:os';
import { execPath, version } from 'node:process';

/** What Node knows of the machine and the user, for the four-letter word `envi`: by ZooKeeper's names where it means the same. */
export function nodeEnvironment(): [name: string, value: string][] {
  const facts: [string, () => string][] = [
    ['host.name', hostname],
    ['node.version', () => version.slice(1)],
    ['node.home', () => execPath],
    ['os.name', type],
    ['os.arch', () => process.arch],
    ['os.version', release],
    ['user.name', () => userInfo().username],
    ['user.home', homedir],
    ['user.dir', () => process.cwd()],
    ['os.memory.free', () => megabytes(freemem())],
    ['os.memory.total', () => megabytes(totalmem())],
  ];
  return facts.map(([name, look]) => [name, known(look)]);
}

const megabytes = (bytes: number): string => `${Math.floor(bytes / 0x100000)}MB`;

/** As with ZooKeeper, for a user without a name or a folder that is gone. */
function known(look: () => string): string {
  try {
    return look();
  } catch {
    return '<NA>';
  }
}
