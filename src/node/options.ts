import Long from 'long';
import { ZabError } from '../model/errors.ts';
import { ZXID_NONE } from '../model/zxid.ts';
import type { Clock } from '../seams/clock.ts';
import type { Logger } from '../seams/logger.ts';
import type { Random } from '../seams/random.ts';
import type { Sockets } from '../seams/sockets.ts';
import type { Storage } from '../seams/storage.ts';
import type { Transport } from '../seams/transport.ts';
import { MAX_PARTICIPANTS } from '../zab/quorum.ts';
import type { EnsembleOptions, ServerSpec } from './api.ts';

/** A server with the defaults filled in. */
export interface ResolvedServer extends ServerSpec {
  readonly role: 'participant' | 'observer';
  readonly weight: number;
  /** Undefined for every server unless the quorum is hierarchical; then still undefined for observers that name none. */
  readonly group: number | undefined;
}

/** {@link EnsembleOptions} after checking, with every default filled in. All times in ms, all sizes in bytes. */
export interface ResolvedOptions {
  readonly id: number;
  /** The entry of `servers` for this server. */
  readonly self: ResolvedServer;
  /** In ascending order of ids. */
  readonly servers: readonly ResolvedServer[];
  readonly configVersion: Long;
  readonly standalone: boolean;
  readonly transport: Transport;
  readonly storage: Storage;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly tickTime: number;
  readonly initLimit: number;
  readonly syncLimit: number;
  /** initLimit * tickTime */
  readonly initTime: number;
  /** syncLimit * tickTime */
  readonly syncTime: number;
  readonly election: 'fast' | 'basic';
  readonly finalizeWait: number;
  readonly minSessionTimeout: number;
  readonly maxSessionTimeout: number;
  readonly snapCount: number;
  /** Infinity: all. */
  readonly snapRetainCount: number;
  readonly commitLogCount: number;
  readonly maxRequestBytes: number;
  readonly maxOutstanding: number;
  readonly maxLearnerBacklog: number;
  readonly snapshotConcurrency: number;
  readonly superDigest: string | null;
  readonly skipAcl: boolean;
  readonly extendedTypes: boolean;
  readonly enforceQuota: boolean;
  readonly digest: boolean;
  readonly containerCheckInterval: number;
  readonly port: ResolvedPort | null;
}

/** What the client port is made from. */
export interface ResolvedPort {
  readonly clientPort: number;
  readonly clientHost: string;
  readonly sockets: Sockets;
  /** Infinity: no limit. */
  readonly maxClientCnxns: number;
  /** Infinity: no limit. */
  readonly maxCnxns: number;
  readonly globalOutstandingLimit: number;
  readonly fourLetterWords: ReadonlySet<string>;
  readonly environment: () => Iterable<readonly [name: string, value: string]>;
  readonly readOnlyMode: boolean;
}

/** Milliseconds that every timer of every host can wait; also keeps session timeouts in the 32 bits that they have on the wire. */
const MAX_INT = 0x7fffffff;

function bad(option: string, rule: string, value: unknown): ZabError {
  return new ZabError('BAD_OPTIONS', `option ${option}: ${rule}, not ${show(value)}`);
}

function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'object' && value !== null) return Array.isArray(value) ? 'a list' : 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}

function whole(option: string, value: unknown, min: number, max = MAX_INT): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw bad(option, `must be a whole number from ${min} to ${max}`, value);
}

function flag(option: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw bad(option, 'must be true or false', value);
}

/** Whether `value` has the methods of a seam; their types are the compiler's business. */
function seam<T extends object>(option: string, value: T | undefined, methods: readonly (keyof T)[]): T {
  if (typeof value === 'object' && value !== null && methods.every((name) => typeof value[name] === 'function')) return value;
  throw bad(option, `must be an object with ${methods.join(', ')}`, value);
}

const silent: Logger = () => {};

/**
 * Checks `options` and fills in the defaults. Throws a ZabError with code BAD_OPTIONS that names the option, the rule and the value.
 */
export function resolveOptions(options: EnsembleOptions): ResolvedOptions {
  if (typeof options !== 'object' || options === null) throw bad('(all)', 'must be an object', options);
  const id = whole('id', options.id, 1, 255);
  const servers = resolveServers(options.servers);
  const self = servers.find((server) => server.id === id);
  if (self === undefined) throw bad('id', `must be the id of one of the servers (${servers.map((s) => s.id).join(', ')})`, id);
  if (options.logger !== undefined && typeof options.logger !== 'function') throw bad('logger', 'must be a function', options.logger);
  return {
    id,
    self,
    servers,
    configVersion: resolveVersion(options.configVersion ?? ZXID_NONE),
    standalone: resolveStandalone(options.standalone, servers),
    transport: seam('transport', options.transport, ['open']),
    storage: seam('storage', options.storage, ['open', 'recover', 'append']),
    clock: seam('clock', options.clock, ['now', 'wall', 'setTimer', 'clearTimer', 'defer']),
    random: seam('random', options.random, ['below']),
    logger: options.logger ?? silent,
    ...resolveTimes(options),
    ...resolveLimits(options),
    ...resolveRules(options),
    port: resolvePort(options),
  };
}

function resolveVersion(version: unknown): Long {
  if (!Long.isLong(version)) throw bad('configVersion', 'must be a Long', version);
  return version.toUnsigned();
}

function resolvePort(options: EnsembleOptions): ResolvedPort | null {
  const words = options.fourLetterWords ?? ['srvr'];
  if (!Array.isArray(words) || !words.every((word) => typeof word === 'string' && /^([a-z]{4}|\*)$/.test(word))) {
    throw bad('fourLetterWords', "must be a list of words of four letters, or of '*'", words);
  }
  const clientHost = options.clientHost ?? '0.0.0.0';
  if (typeof clientHost !== 'string' || clientHost === '') throw bad('clientHost', 'must be a name or an IP address', clientHost);
  const environment = options.environment ?? (() => []);
  if (typeof environment !== 'function') throw bad('environment', 'must be a function', environment);
  const port = {
    clientHost,
    maxClientCnxns: whole('maxClientCnxns', options.maxClientCnxns ?? 60, 0) || Number.POSITIVE_INFINITY,
    maxCnxns: whole('maxCnxns', options.maxCnxns ?? 0, 0) || Number.POSITIVE_INFINITY,
    globalOutstandingLimit: whole('globalOutstandingLimit', options.globalOutstandingLimit ?? 10_000, 1),
    fourLetterWords: new Set(words),
    environment,
    readOnlyMode: flag('readOnlyMode', options.readOnlyMode ?? false),
  };
  if (options.clientPort === undefined) return null;
  const clientPort = whole('clientPort', options.clientPort, 1, 65535);
  return { ...port, clientPort, sockets: seam('sockets', options.sockets, ['connect', 'listen', 'lookup']) };
}

function resolveTimes(options: EnsembleOptions) {
  const tickTime = whole('tickTime', options.tickTime ?? 2000, 1, 3_600_000);
  const ticks = (name: 'initLimit' | 'syncLimit', fallback: number) =>
    whole(name, options[name] ?? fallback, 1, Math.floor(MAX_INT / tickTime));
  const initLimit = ticks('initLimit', 10);
  const syncLimit = ticks('syncLimit', 5);
  const minSessionTimeout = whole('minSessionTimeout', options.minSessionTimeout ?? 2 * tickTime, 1);
  const maxSessionTimeout = whole('maxSessionTimeout', options.maxSessionTimeout ?? Math.max(20 * tickTime, minSessionTimeout), 1);
  if (maxSessionTimeout < minSessionTimeout) {
    throw bad('maxSessionTimeout', `must not be below minSessionTimeout (${minSessionTimeout})`, maxSessionTimeout);
  }
  return {
    tickTime,
    initLimit,
    syncLimit,
    initTime: initLimit * tickTime,
    syncTime: syncLimit * tickTime,
    minSessionTimeout,
    maxSessionTimeout,
    finalizeWait: whole('finalizeWait', options.finalizeWait ?? 200, 0),
    containerCheckInterval: whole('containerCheckInterval', options.containerCheckInterval ?? 60_000, 1),
  };
}

function resolveLimits(options: EnsembleOptions) {
  return {
    snapCount: whole('snapCount', options.snapCount ?? 100_000, 2),
    snapRetainCount: options.snapRetainCount === Infinity ? Infinity : whole('snapRetainCount', options.snapRetainCount ?? 3, 3),
    commitLogCount: whole('commitLogCount', options.commitLogCount ?? 500, 1),
    maxRequestBytes: whole('maxRequestBytes', options.maxRequestBytes ?? 0xfffff, 1024),
    maxOutstanding: whole('maxOutstanding', options.maxOutstanding ?? 100_000, 1),
    maxLearnerBacklog: whole('maxLearnerBacklog', options.maxLearnerBacklog ?? 268_435_456, 1, Number.MAX_SAFE_INTEGER),
    snapshotConcurrency: whole('snapshotConcurrency', options.snapshotConcurrency ?? 2, 1),
  };
}

function resolveRules(options: EnsembleOptions) {
  const election = options.election ?? 'fast';
  if (election !== 'fast' && election !== 'basic') throw bad('election', "must be 'fast' or 'basic'", election);
  const superDigest = options.superDigest ?? null;
  // The value is a secret's hash: the message does not repeat it.
  if (superDigest !== null && !(typeof superDigest === 'string' && /^[^:]+:[A-Za-z0-9+/]{27}=$/.test(superDigest))) {
    throw new ZabError('BAD_OPTIONS', 'option superDigest: must be user:base64(sha1(user:password)), as digestId gives it');
  }
  return {
    election,
    superDigest,
    skipAcl: flag('skipAcl', options.skipAcl ?? false),
    extendedTypes: flag('extendedTypes', options.extendedTypes ?? true),
    enforceQuota: flag('enforceQuota', options.enforceQuota ?? false),
    digest: flag('digest', options.digest ?? false),
  } as const;
}

function resolveStandalone(value: unknown, servers: readonly ServerSpec[]): boolean {
  const standalone = flag('standalone', value ?? false);
  if (standalone && servers.length > 1) throw bad('standalone', `must be false with ${servers.length} servers`, value);
  return standalone;
}

function resolveServers(servers: readonly ServerSpec[]): readonly ResolvedServer[] {
  if (!Array.isArray(servers) || servers.length === 0) throw bad('servers', 'must be a list of at least one server', servers);
  const resolved = servers.map(resolveServer);
  const ids = new Set<number>();
  const ports = new Map<string, string>();
  resolved.forEach((server, index) => {
    if (ids.has(server.id)) throw bad(`servers[${index}].id`, 'must differ from every other server’s', server.id);
    ids.add(server.id);
    for (const name of ['quorumPort', 'electionPort'] as const) {
      const where = `${server.host.toLowerCase()} ${server[name]}`;
      const other = ports.get(where);
      if (other !== undefined) throw bad(`servers[${index}].${name}`, `must differ from ${other} on the same host`, server[name]);
      ports.set(where, `servers[${index}].${name}`);
    }
  });
  checkQuorum(resolved);
  return resolved.sort((a, b) => a.id - b.id);
}

function resolveServer(server: ServerSpec, index: number): ResolvedServer {
  const at = `servers[${index}]`;
  if (typeof server !== 'object' || server === null) throw bad(at, 'must be an object', server);
  if (typeof server.host !== 'string' || server.host === '') throw bad(`${at}.host`, 'must be a name or an IP address', server.host);
  const role = server.role ?? 'participant';
  if (role !== 'participant' && role !== 'observer') throw bad(`${at}.role`, "must be 'participant' or 'observer'", role);
  if (server.weight !== undefined && server.group === undefined)
    throw bad(`${at}.weight`, 'is only for servers with a group', server.weight);
  return {
    id: whole(`${at}.id`, server.id, 1, 255),
    host: server.host,
    quorumPort: whole(`${at}.quorumPort`, server.quorumPort, 1, 65535),
    electionPort: whole(`${at}.electionPort`, server.electionPort, 1, 65535),
    role,
    weight: whole(`${at}.weight`, server.weight ?? 1, 0),
    group: server.group === undefined ? undefined : whole(`${at}.group`, server.group, 0),
    client: server.client === undefined ? undefined : resolveClient(`${at}.client`, server.client),
  };
}

function resolveClient(at: string, { host, port }: NonNullable<ServerSpec['client']>): ServerSpec['client'] {
  if (typeof host !== 'string' || host === '') throw bad(`${at}.host`, 'must be a name or an IP address', host);
  return { host, port: whole(`${at}.port`, port, 1, 65535) };
}

/** A quorum must be possible at all: there are voters, groups are complete, and some voter has weight. */
function checkQuorum(servers: readonly ResolvedServer[]): void {
  const voters = servers.filter((server) => server.role === 'participant');
  if (voters.length === 0) throw bad('servers', 'must have at least one participant', servers);
  if (voters.length > MAX_PARTICIPANTS) throw bad('servers', `must have at most ${MAX_PARTICIPANTS} participants`, voters.length);
  const grouped = voters.filter((server) => server.group !== undefined);
  if (grouped.length !== 0 && grouped.length !== voters.length) {
    const without = voters.find((server) => server.group === undefined)!;
    throw new ZabError('BAD_OPTIONS', `option servers: either every participant has a group or none has; server ${without.id} has none`);
  }
  if (voters.every((server) => server.weight === 0)) {
    throw new ZabError('BAD_OPTIONS', 'option servers: at least one participant must have a weight above 0');
  }
}
