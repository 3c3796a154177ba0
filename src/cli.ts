#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type Long from 'long';
import {
  configFromZooCfg,
  createEnsembleNode,
  type EnsembleNode,
  keepMembers,
  type LogLevel,
  type NodeOptions,
  type ServerSpec,
  ZabError,
} from './index.ts';

/* `npx zab-ensemble zoo.cfg`: a server from a ZooKeeper configuration file. */

const USAGE = `Usage: zab-ensemble [options] <zoo.cfg>

Runs a ZooKeeper server from a ZooKeeper configuration file until SIGTERM or SIGINT.

  --check        read the file, say what is wrong or without effect in it, and stop
  -h, --help     print this
  -v, --version  print the version

Exit codes: 0 stopped by a signal (or the file is in order), 1 the server has failed,
2 the file or the command line is in error.
`;

const EXIT = { ok: 0, failed: 1, misconfigured: 2 } as const;

const LEVEL_NAMES: Readonly<Record<LogLevel, string>> = { debug: 'DEBUG', info: 'INFO ', warn: 'WARN ', error: 'ERROR' };

/** One line: information to the standard output, trouble to the standard error. */
function log(level: LogLevel, text: string, fields: Readonly<Record<string, unknown>> = {}): void {
  if (level === 'debug') return;
  const rest = Object.entries(fields)
    // Every line of this process is of the same server.
    .filter(([name]) => name !== 'server')
    .map(([name, value]) => ` ${name}=${value instanceof Error ? value.message : String(value)}`)
    .join('');
  const stream = level === 'info' ? process.stdout : process.stderr;
  stream.write(`${new Date().toISOString()} ${LEVEL_NAMES[level]} ${`${text}${rest}`.replaceAll(/\s*\n\s*/g, ' ')}\n`);
}

/** What cannot be run as it is asked for: said in plain words, without a stack. */
function refuse(message: string): void {
  process.stderr.write(`zab-ensemble: ${message}\n`);
  process.exitCode = EXIT.misconfigured;
}

function version(): string {
  const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string };
  return manifest.version;
}

interface Command {
  readonly file: string;
  readonly check: boolean;
}

/** The command line; undefined when there is nothing left to do. */
function readCommand(): Command | undefined {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { check: { type: 'boolean' }, help: { type: 'boolean', short: 'h' }, version: { type: 'boolean', short: 'v' } },
    });
    if (values.help) process.stdout.write(USAGE);
    else if (values.version) process.stdout.write(`${version()}\n`);
    else if (positionals.length === 1) return { file: positionals[0], check: values.check ?? false };
    else refuse(`one configuration file is needed, not ${positionals.length}\n\n${USAGE}`);
  } catch (error) {
    refuse(`${(error as Error).message}\n\n${USAGE}`);
  }
  return undefined;
}

/** The server as the file describes it, not started; undefined when the file is in error. */
async function nodeOf(file: string): Promise<{ node: EnsembleNode; options: NodeOptions } | undefined> {
  try {
    const { options, warnings } = await configFromZooCfg(file);
    for (const warning of warnings) log('warn', `${file}: ${warning}`);
    return { node: createEnsembleNode({ ...options, logger: log }), options };
  } catch (error) {
    if (!(error instanceof ZabError)) throw error;
    // The file's reader names it, the options' own rules don't.
    refuse(error.message.startsWith(file) ? error.message : `${file}: ${error.message}`);
    return undefined;
  }
}

function describe(options: NodeOptions): string {
  const { id, servers, standalone, dataDir } = options;
  return `server ${id}, ${standalone ? 'standalone' : `one of ${servers.length}`}, data in ${dataDir}, ${clientsOf(options)}`;
}

function clientsOf({ clientPort, clientHost = '0.0.0.0' }: NodeOptions): string {
  if (clientPort === undefined) return 'no client port';
  return `clients on ${clientHost.includes(':') ? `[${clientHost}]` : clientHost}:${clientPort}`;
}

/** The members of a reconfigured ensemble go where the next start looks for them. */
async function keep(file: string, version: Long, servers: readonly ServerSpec[]): Promise<void> {
  try {
    const kept = await keepMembers(file, version, servers);
    if (kept !== undefined) log('info', `the members of the ensemble are in ${kept} now`);
    else log('warn', `${file} has no dynamicConfigFile: its server lines may be out of date with version ${version.toString(16)}`);
  } catch (error) {
    log('error', 'the members of the ensemble could not be kept for the next start', { error });
  }
}

/** Runs the server until it is told to stop or fails. */
async function serve(node: EnsembleNode, options: NodeOptions, file: string): Promise<void> {
  let stopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    log('info', `stopping: ${signal}`);
    stopping = true;
    node.stop();
  };
  // Once each: a second signal ends a process that does not get to its end.
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  node.on('role', (role) => role !== 'stopped' && log('info', `now ${role}`));
  node.on('serving', (serving) => {
    if (!serving) return log(stopping ? 'info' : 'warn', 'not serving');
    const under = node.leaderId === node.id ? '' : ` server ${node.leaderId}`;
    log('info', `serving: ${node.role}${under}, epoch ${node.epoch}, ${clientsOf(options)}`);
  });
  let kept = Promise.resolve();
  node.on('config', (version, servers) => {
    kept = kept.then(() => keep(file, version, servers));
  });
  log('info', `zab-ensemble ${version()} on Node ${process.version}, process ${process.pid}: ${describe(options)}`);
  try {
    await node.start();
    await node.closed;
  } catch (error) {
    // A start that is given up because of a signal is no failure.
    if (!stopping) throw error;
    await node.closed;
  } finally {
    process.off('SIGTERM', stop);
    process.off('SIGINT', stop);
  }
  log('info', 'stopped');
}

async function main(): Promise<void> {
  // A log that nobody reads any more is no reason to stop serving.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  const command = readCommand();
  if (command === undefined) return;
  const made = await nodeOf(command.file);
  if (made === undefined) return;
  if (command.check) process.stdout.write(`${command.file} is in order: ${describe(made.options)}\n`);
  else await serve(made.node, made.options, command.file);
}

main().catch((error: unknown) => {
  log('error', `the server has failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = EXIT.failed;
});
