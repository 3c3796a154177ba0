import { ZabError } from '../model/errors.ts';
import type { ServerSpec } from '../node/api.ts';
import { type Property, readProperties } from './properties.ts';
import { readServerLine, type ServerLine } from './server-line.ts';
import { type Draft, settingOf, type ZooCfgOptions } from './settings.ts';
import { whole } from './values.ts';

/** What belongs to a configuration file and stands in other files. */
export interface ZooCfgContext {
  /** Text of `<dataDir>/myid`; undefined when there is none. */
  readonly myid?: string;
  /** Text of the file that `dynamicConfigFile` names. */
  readonly dynamicText?: string;
}

/** A configuration file that was read. */
export interface ZooCfg {
  /** For `createEnsembleNode`. */
  readonly options: ZooCfgOptions;
  /** One line each: unknown keys, and keys that have another effect here than they have in ZooKeeper, or none. */
  readonly warnings: string[];
  /** False (`datadir.autocreate=false`): the folders must be there when the server starts. */
  readonly autocreate: boolean;
}

/** A setting with its place, for messages. */
interface Located extends Property {
  readonly where: string;
}

/** What is said of a file: one run names everything that is wrong with it. */
class Findings {
  readonly warnings: string[] = [];
  readonly errors: string[] = [];

  /** Runs `take`; when the value breaks a rule, that is noted. */
  check(property: Located, take: () => void): void {
    try {
      take();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.errors.push(`${shown(property)}: ${error.message}`);
    }
  }

  warn(property: Located, text: string): void {
    this.warnings.push(`${shown(property)} ${text}`);
  }
}

/** A digest is as good as the password that it was made of, and goes into no log. */
const shown = ({ where, key, value }: Located): string => `${where}: ${key}=${/digest$/i.test(key) ? '(not shown)' : value}`;

/** Lines that say who belongs to the ensemble. */
interface Membership {
  readonly servers: Map<number, ServerLine>;
  readonly groups: Map<number, number>;
  readonly weights: Map<number, number>;
}

const MEMBERSHIP = /^(server|group|weight)\.(.*)$/;

/**
 * Reads the text of a ZooKeeper configuration file (ZooKeeper 3.8's administrator's guide). What the file does not set has ZooKeeper's default where it shows outside (tickTime 3000, digests, no TTL znodes, nothing purged). A file without server
 * lines, or with one, is a server on its own.
 *
 * A key that would make the server weaker than the file asks for (TLS, SASL, an election over UDP ...) is an error; one that has no effect otherwise is a warning, and so is an
 * unknown one. Throws a ZabError with code BAD_OPTIONS whose message has a line for each error, with the line in the file, key, value and rule.
 */
export function parseZooCfg(text: string, { myid, dynamicText }: ZooCfgContext = {}): ZooCfg {
  const found = new Findings();
  const draft: Draft = {
    options: { tickTime: 3000, digest: true, extendedTypes: false },
    standaloneEnabled: true,
    purgeInterval: 0,
    autocreate: true,
  };
  const membership: Membership = { servers: new Map(), groups: new Map(), weights: new Map() };
  const properties = propertiesOf(text, '', found);
  const isDynamic = properties.some(({ key }) => key === 'dynamicConfigFile');
  for (const property of properties) {
    if (!MEMBERSHIP.test(property.key)) takeSetting(property, draft, found);
    else if (isDynamic) found.check(property, () => refuse('must be in the file that dynamicConfigFile names'));
    else takeMember(property, membership, found);
  }
  if (isDynamic) takeDynamic(dynamicText, membership, found);
  finish(draft, membership, myid, found);
  if (found.errors.length > 0) throw new ZabError('BAD_OPTIONS', found.errors.join('\n'));
  return { options: draft.options as ZooCfgOptions, warnings: found.warnings, autocreate: draft.autocreate };
}

function refuse(rule: string): never {
  throw new RangeError(rule);
}

/** The settings of a file; of a key that is given twice the last one, as Java does. */
function propertiesOf(text: string, file: string, found: Findings): Located[] {
  let all: Located[] = [];
  try {
    all = readProperties(text).map((property) => ({ ...property, where: `${file}line ${property.line}` }));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    found.errors.push(`${file}${error.message}`);
  }
  const last = new Map<string, Located>();
  for (const property of all) {
    const before = last.get(property.key);
    if (before !== undefined) found.warn(before, `is overruled by line ${property.line}`);
    last.set(property.key, property);
  }
  return [...last.values()];
}

function takeSetting(property: Located, draft: Draft, found: Findings): void {
  const setting = settingOf(property.key);
  if (setting === undefined) return found.warn(property, 'is unknown and has no effect');
  found.check(property, () => setting(property.value, draft, (text) => found.warn(property, text)));
}

function takeDynamic(text: string | undefined, membership: Membership, found: Findings): void {
  if (text === undefined) return void found.errors.push('dynamicConfigFile: there is no such file');
  for (const property of propertiesOf(text, 'dynamic file, ', found)) {
    if (MEMBERSHIP.test(property.key)) takeMember(property, membership, found);
    else found.check(property, () => refuse('has no place in a dynamic file: only server, group and weight lines have'));
  }
}

function takeMember(property: Located, { servers, groups, weights }: Membership, found: Findings): void {
  const [, kind, name] = MEMBERSHIP.exec(property.key) as RegExpExecArray;
  found.check(property, () => {
    if (!/^\d{1,9}$/.test(name)) refuse(`the key must be ${kind}. and a number`);
    const id = Number(name);
    if (kind === 'weight') weights.set(id, whole(property.value, 0));
    else if (kind === 'server') servers.set(whole(name, 1, 255), readServerLine(id, property.value));
    else {
      for (const member of property.value.split(':')) {
        const server = whole(member.trim(), 1, 255);
        if (groups.has(server)) refuse(`server ${server} must be in one group only`);
        groups.set(server, id);
      }
    }
  });
}

// ---- what follows from several lines

function finish(draft: Draft, membership: Membership, myid: string | undefined, found: Findings): void {
  const { options } = draft;
  if (options.dataDir === undefined) found.errors.push('dataDir: must be set');
  if (options.minSessionTimeout !== undefined && options.maxSessionTimeout !== undefined) {
    if (options.minSessionTimeout > options.maxSessionTimeout) found.errors.push('minSessionTimeout: must not be above maxSessionTimeout');
  }
  if (draft.purgeInterval === 0) {
    options.snapRetainCount = Number.POSITIVE_INFINITY;
    found.warnings.push('autopurge.purgeInterval is 0: old snapshots and logs are never deleted');
  }
  takeServers(draft, membership, myid, found);
  takeClientPort(draft, membership, found);
  if (options.clientPort === undefined) found.warnings.push('clientPort is not set: no client can connect');
  if (options.extendedTypes && options.id === 255) found.errors.push('extendedTypesEnabled: must be false for server 255');
}

function takeServers(draft: Draft, membership: Membership, myid: string | undefined, found: Findings): void {
  const { options, peerType, standaloneEnabled } = draft;
  const servers = [...membership.servers.values()].map((line) => specOf(line, membership));
  const voters = servers.filter(({ role }) => role !== 'observer').length;
  checkQuorum(membership, found);
  const own = ownId(myid, found);
  options.standalone = standaloneEnabled && servers.length <= 1;
  if (servers.length === 0) {
    if (!standaloneEnabled) found.errors.push('standaloneEnabled=false: needs server lines');
    options.id = own ?? 1;
    // Nobody listens there, and nobody asks.
    options.servers = [{ id: options.id, host: 'localhost', quorumPort: 2888, electionPort: 3888 }];
    return;
  }
  if (voters === 0) found.errors.push('server lines: at least one server must be a participant');
  if (voters === 1 && servers.length > 1 && standaloneEnabled) {
    found.errors.push('server lines: one participant with observers needs standaloneEnabled=false');
  }
  options.servers = servers;
  options.id = own ?? (options.standalone ? servers[0].id : undefined);
  if (options.id === undefined) {
    if (myid === undefined) found.errors.push('myid: there is no such file in dataDir, which must hold the number of this server');
    return;
  }
  const self = servers.find(({ id }) => id === options.id);
  if (self === undefined) found.errors.push(`myid: there is no line server.${options.id}`);
  else if (peerType !== undefined && peerType !== self.role) {
    found.warnings.push(`peerType=${peerType} has no effect: the line server.${self.id} says ${self.role}`);
  }
}

function specOf({ server, client }: ServerLine, { groups, weights }: Membership): ServerSpec {
  const group = groups.get(server.id);
  return {
    ...server,
    ...(group === undefined ? {} : { group, weight: weights.get(server.id) ?? 1 }),
    ...(client === null ? {} : { client }),
  };
}

function checkQuorum({ servers, groups, weights }: Membership, found: Findings): void {
  for (const [kind, ids] of [
    ['group', groups.keys()],
    ['weight', weights.keys()],
  ] as const) {
    for (const id of ids) if (!servers.has(id)) found.errors.push(`${kind} lines: there is no line server.${id}`);
  }
  if (groups.size === 0 && weights.size > 0) found.errors.push('weight lines: need group lines');
  if (groups.size === 0) return;
  for (const [id, { server }] of servers) {
    if (server.role !== 'observer' && !groups.has(id)) found.errors.push(`group lines: server ${id} is in none`);
  }
}

/** The number in `myid`; undefined when there is none. */
function ownId(myid: string | undefined, found: Findings): number | undefined {
  const text = myid?.split(/\r|\n/, 1)[0].trim();
  if (text === undefined) return undefined;
  if (/^\d{1,3}$/.test(text) && Number(text) >= 1 && Number(text) <= 255) return Number(text);
  found.errors.push(`myid: must be a whole number from 1 to 255, not ${JSON.stringify(text)}`);
  return undefined;
}

/** A server line may have the client port too, which then counts, and must not contradict the rest of the file. */
function takeClientPort(draft: Draft, { servers }: Membership, found: Findings): void {
  const { options, clientPortAddress } = draft;
  const client = options.id === undefined ? null : (servers.get(options.id)?.client ?? null);
  if (clientPortAddress !== undefined && options.clientPort === undefined) found.errors.push('clientPortAddress: needs clientPort');
  if (clientPortAddress !== undefined) options.clientHost = clientPortAddress;
  if (client === null) return;
  const contradicts =
    options.clientPort !== undefined &&
    (options.clientPort !== client.port ||
      (options.clientHost !== undefined && !ANY.test(options.clientHost) && options.clientHost !== client.host));
  if (contradicts) found.errors.push(`clientPort: differs from what the line server.${options.id} says`);
  options.clientPort = client.port;
  options.clientHost = client.host;
}

const ANY = /^(?:0\.0\.0\.0|::)$/;
