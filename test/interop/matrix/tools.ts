import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { apacheClassPath, requirePackages } from '../apache.ts';
import { type Driver, ProcessDriver } from './driver.ts';
import { OurDriver } from './our-driver.ts';

/* Builds the drivers from their sources and starts them. */

const source = (name: string): string => fileURLToPath(new URL(`drivers/${name}`, import.meta.url));

export const JAVA_FLAGS = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];

export interface DriverKind {
  readonly name: string;
  /** Chapters of the script that are not played, with the reason. */
  readonly leavesOut?: Readonly<Record<string, string>>;
  /** The matrix says so loudly and goes on if it can't be built. */
  readonly mayBeMissing?: boolean;
  /** Without it sessions at different servers can't be brought to the same state: then all are at one. @default true */
  readonly hasSync?: boolean;
  /** Makes what has to be compiled, in an empty folder of this kind's own. */
  build(dir: string): void;
  start(dir: string): Driver;
}

export const javaDriver: DriverKind = {
  name: 'java',
  build(dir) {
    requirePackages('/usr/bin/javac', '/usr/bin/java');
    execFileSync('javac', ['-nowarn', '-cp', apacheClassPath, '-d', dir, source('Driver.java')], { stdio: 'pipe' });
  },
  start: (dir) => new ProcessDriver('java', 'java', [...JAVA_FLAGS, '-cp', `${dir}:${apacheClassPath}`, 'Driver']),
};

export const cDriver: DriverKind = {
  name: 'c',
  build(dir) {
    requirePackages('/usr/bin/cc', '/usr/include/zookeeper/zookeeper.h');
    const flags = ['-DTHREADED', '-O1', '-Wall', '-Wextra', '-Werror'];
    execFileSync('cc', [...flags, '-o', join(dir, 'driver'), source('driver.c'), '-lzookeeper_mt', '-lpthread'], { stdio: 'pipe' });
  },
  start: (dir) => new ProcessDriver('c', join(dir, 'driver'), []),
};

export const kazooDriver: DriverKind = {
  name: 'kazoo',
  build: () => requirePackages('/usr/bin/python3', '/usr/lib/python3/dist-packages/kazoo'),
  start: () => new ProcessDriver('kazoo', '/usr/bin/python3', [source('kazoo_driver.py')]),
};

export const nodeZookeeperClientDriver: DriverKind = {
  name: 'node-zookeeper-client',
  hasSync: false,
  build: () => {},
  start: () => new ProcessDriver('node-zookeeper-client', process.execPath, [source('node-zookeeper-client.mjs')]),
};

export const oursDriver: DriverKind = { name: 'ours', build: () => {}, start: () => new OurDriver() };

/** The version that the matrix was made with; it is compiled as it is installed, so it is no dependency of this package. */
const NODE_ZOOKEEPER = { name: 'zookeeper', version: '7.3.0' };
/** Outlives the run, but no `npm ci`. */
const NODE_ZOOKEEPER_DIR = source('../../../../node_modules/.cache/zab-ensemble/zookeeper-7.3.0');

const SLOW_AUTH = 'the library sends an identity with its next ping, seconds later';

export const zookeeperDriver: DriverKind = {
  name: 'zookeeper',
  mayBeMissing: true,
  leavesOut: {
    identities: SLOW_AUTH,
    refusals: SLOW_AUTH,
    reconnecting: SLOW_AUTH,
    moving: 'a handle that goes on with a session takes no calls',
  },
  build() {
    const { name, version } = NODE_ZOOKEEPER;
    const dir = NODE_ZOOKEEPER_DIR;
    if (existsSync(join(dir, 'node_modules/zookeeper/build/Release/zookeeper.node'))) return;
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, 'package.json'), JSON.stringify({ dependencies: { [name]: version }, allowScripts: { [name]: true } }));
    execFileSync('npm', ['install', '--no-audit', '--no-fund', '--no-package-lock'], { cwd: dir, stdio: 'pipe' });
  },
  start: () => new ProcessDriver('zookeeper', process.execPath, [source('zookeeper.mjs'), NODE_ZOOKEEPER_DIR]),
};
