import type Long from 'long';
import { compareZxid, formatZxid, parseZxidHex, ZXID_NONE } from '../model/zxid.ts';
import { MAX_PARTICIPANTS, QuorumRules } from './quorum.ts';

/** A server in the configuration text. */
export interface ConfigServer {
  readonly id: number;
  readonly host: string;
  readonly quorumPort: number;
  readonly electionPort: number;
  readonly role?: 'participant' | 'observer';
  readonly weight?: number;
  readonly group?: number;
  readonly client?: { readonly host: string; readonly port: number };
}

/** An IPv6 address in brackets. */
const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host);

function serverLine({ id, host, quorumPort, electionPort, role = 'participant', client }: ConfigServer): string {
  const line = `server.${id}=${bracketed(host)}:${quorumPort}:${electionPort}:${role}`;
  return client === undefined ? line : `${line};${bracketed(client.host)}:${client.port}`;
}

/** ZooKeeper's text of an ensemble (PROTOCOL 18.1). Version 0: as somebody has written it, not as the ensemble has agreed on it. */
export function configText(servers: readonly ConfigServer[], version: Long = ZXID_NONE): string {
  const lines = servers.map(serverLine);
  const groups = new Map<number, number[]>();
  for (const s of servers) if (s.group !== undefined) groups.set(s.group, [...(groups.get(s.group) ?? []), s.id]);
  for (const [group, members] of groups) lines.push(`group.${group}=${members.join(':')}`);
  if (groups.size > 0) for (const s of servers) if (s.role !== 'observer') lines.push(`weight.${s.id}=${s.weight ?? 1}`);
  lines.push(`version=${version.toString(16)}`);
  return lines.join('\n');
}

/** A configuration that is in the log and perhaps not committed. */
interface Pending {
  readonly text: string;
  readonly servers: readonly ConfigServer[];
}

/**
 * Who belongs to the ensemble, as this server knows and tells it: in NEWLEADER, in notifications and in /zookeeper/config.
 *
 * It begins with the options. Servers of ZooKeeper with reconfig enabled give even the configuration that they start with a version above 0 (PROTOCOL 18.1), tell it to everybody,
 * and may agree on other members; the text with the latest version counts. It is taken as a whole and never while this server leads or has just voted by the one before: see
 * Peer, which decides when.
 */
export class EnsembleConfig {
  readonly #id: number;
  text: string;
  version: Long;
  servers: readonly ConfigServer[];
  ids: ReadonlySet<number>;
  #quorum: QuorumRules | null = null;
  #pending: Pending | null = null;
  /** Addresses by id as the ensemble has told them; null before it has. Those of `servers` may be other names for the same. */
  #told: ReadonlyMap<number, string> | null;

  constructor(id: number, servers: readonly ConfigServer[], version: Long = ZXID_NONE) {
    this.#id = id;
    this.text = configText(servers, version);
    this.version = version;
    this.servers = servers;
    this.ids = new Set(servers.map((server) => server.id));
    this.#told = version.isZero() ? null : addressesOf(servers);
  }

  get quorum(): QuorumRules {
    this.#quorum ??= new QuorumRules(this.servers.filter(isVoter), this.#pending?.servers.filter(isVoter));
    return this.#quorum;
  }

  /** See {@link pend}. */
  get pending(): string | null {
    return this.#pending?.text ?? null;
  }

  /** What a leader tells its learners: they have it in their logs as well by the time it counts. */
  get latest(): string {
    return this.#pending?.text ?? this.text;
  }

  /**
   * The log has this configuration, and nobody here knows whether it is committed; null if it has none. If it is later and has other members, a quorum is one of both from now on, as with
   * ZooKeeper: by the rules of one alone the other's commits could be lost. Nobody is asked where only this text says that he is. Returns whether that is new.
   */
  pend(text: string | null): boolean {
    const what = text === null ? 'old' : this.compare(text);
    const servers = what === 'changed' || what === 'foreign' ? serversIn(text as string) : null;
    const pending = servers === null ? null : { text: text as string, servers };
    if (pending?.text === this.#pending?.text) return false;
    this.#setPending(pending);
    return pending !== null;
  }

  #setPending(pending: Pending | null): void {
    this.#pending = pending;
    this.#quorum = null;
    this.ids = new Set([...this.servers, ...(pending?.servers ?? [])].map(({ id }) => id));
  }

  /**
   * What it would mean to {@link take} this text. `newer`: nothing changes but the version. `changed`: there are other members, or some are elsewhere. `foreign`: this server is
   * no member, or the text can't be understood.
   */
  compare(text: string): 'old' | 'newer' | 'changed' | 'foreign' {
    if (text === this.text) return 'old';
    const version = versionOf(text);
    if (version === undefined || compareZxid(version, this.version) <= 0) return 'old';
    const servers = serversIn(text);
    if (servers === null || !servers.some(({ id }) => id === this.#id)) return 'foreign';
    if (membersOf(servers) !== membersOf(this.servers)) return 'changed';
    const told = this.#told;
    return told === null || servers.every((server) => addressOf(server) === told.get(server.id)) ? 'newer' : 'changed';
  }

  /** This is the configuration from now on; it must be newer or changed. Who was known keeps the address that is known here, unless the ensemble has told another one before. */
  take(text: string): void {
    const servers = serversIn(text) as readonly ConfigServer[];
    const known = new Map(this.servers.map((server) => [server.id, server]));
    const told = this.#told;
    this.text = text;
    this.version = versionOf(text) as Long;
    this.#told = addressesOf(servers);
    this.servers = servers.map((server) => {
      const before = known.get(server.id);
      const isSame = before !== undefined && (told === null || told.get(server.id) === addressOf(server));
      return isSame ? { ...server, host: before.host, quorumPort: before.quorumPort, electionPort: before.electionPort } : server;
    });
    this.#setPending(null);
  }
}

const isVoter = ({ role }: ConfigServer): boolean => role !== 'observer';

const addressOf = ({ host, quorumPort, electionPort }: ConfigServer): string => `${host}:${quorumPort}:${electionPort}`;

const addressesOf = (servers: readonly ConfigServer[]): ReadonlyMap<number, string> =>
  new Map(servers.map((server) => [server.id, addressOf(server)]));

function versionOf(text: string): Long | undefined {
  const found = /^version=([0-9a-f]+)$/m.exec(text);
  return found === null ? undefined : parseZxidHex(found[1]);
}

/** `host:port:port:role;client`, where a server may have several addresses, of which the first counts, and the role and the client's part may be missing. */
const SPEC = /^(?:\[([^\]]+)\]|([^:|;]+)):(\d+):(\d+)(?:\|[^;]*?)?(?::(participant|observer))?(?:;(.*))?$/;

/** The servers of a configuration text; null if they can't be understood or can be no ensemble. */
function serversIn(text: string): readonly ConfigServer[] | null {
  const specs = new Map<number, RegExpExecArray>();
  const groups = new Map<number, number>();
  const weights = new Map<number, number>();
  for (const line of text.split('\n')) {
    const [, kind, name, value] = /^(server|group|weight)\.(\d+)=(.*)$/.exec(line) ?? [];
    if (kind === 'weight') weights.set(Number(name), Number(value));
    else if (kind === 'group') for (const id of value.split(':')) groups.set(Number(id), Number(name));
    else if (kind === 'server') {
      const spec = SPEC.exec(value);
      if (spec === null) return null;
      specs.set(Number(name), spec);
    }
  }
  const servers = [...specs].map(([id, [, bracketed, name, quorumPort, electionPort, role, client]]): ConfigServer => {
    const group = groups.get(id);
    return {
      id,
      host: bracketed ?? name,
      quorumPort: Number(quorumPort),
      electionPort: Number(electionPort),
      role: role === 'observer' ? role : 'participant',
      ...(group === undefined || role === 'observer' ? {} : { group, weight: weights.get(id) ?? 1 }),
      ...clientIn(client),
    };
  });
  const voters = servers.filter(isVoter);
  const isGrouped = voters.every(({ group }) => group !== undefined) || voters.every(({ group }) => group === undefined);
  return isGrouped && voters.length > 0 && voters.length <= MAX_PARTICIPANTS ? servers : null;
}

function clientIn(text: string | undefined): Pick<ConfigServer, 'client'> {
  const [, bracketed, name, port] = /^(?:\[([^\]]+)\]:|([^:]+):)?(\d+)$/.exec(text ?? '') ?? [];
  return port === undefined ? {} : { client: { host: bracketed ?? name ?? '0.0.0.0', port: Number(port) } };
}

/** What a configuration says of quorums, in one order: who votes, with which weight and in which group, and who observes. Not the addresses, which each server may know by other names. */
const membersOf = (servers: readonly ConfigServer[]): string =>
  servers
    .map(({ id, role, group, weight }) =>
      role === 'observer' ? `${id} observer` : `${id} ${group === undefined ? '' : `${group} ${weight ?? 1}`}`,
    )
    .sort()
    .join('\n');

/** For the log and for errors. */
export const describeConfig = (text: string): string =>
  `version ${formatZxid(versionOf(text) ?? ZXID_NONE)}: ${text
    .split('\n')
    .filter((line) => line.startsWith('server.'))
    .join(', ')}`;
