import type Long from 'long';
import { compareZxid, formatZxid, parseZxidHex, ZXID_NONE } from '../model/zxid.ts';

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

/** ZooKeeper's text of an ensemble (PROTOCOL 18.1), of version 0: as somebody has written it, not as the ensemble has agreed on it. */
export function configText(servers: readonly ConfigServer[]): string {
  const lines = servers.map(serverLine);
  const groups = new Map<number, number[]>();
  for (const s of servers) if (s.group !== undefined) groups.set(s.group, [...(groups.get(s.group) ?? []), s.id]);
  for (const [group, members] of groups) lines.push(`group.${group}=${members.join(':')}`);
  if (groups.size > 0) for (const s of servers) if (s.role !== 'observer') lines.push(`weight.${s.id}=${s.weight ?? 1}`);
  lines.push('version=0');
  return lines.join('\n');
}

/**
 * Who belongs to the ensemble, as this server tells it: in NEWLEADER, in notifications and in /zookeeper/config.
 *
 * The members are those of the options, for ever. But servers of ZooKeeper with reconfig enabled give even the configuration that they start with a version above 0 (PROTOCOL
 * 18.1), tell it to everybody, and refuse a leader that has an earlier one. So the text with the latest version is kept, if it has the same members.
 */
export class EnsembleConfig {
  text: string;
  version: Long = ZXID_NONE;
  readonly #members: string;

  constructor(servers: readonly ConfigServer[]) {
    this.text = configText(servers);
    this.#members = membersIn(this.text);
  }

  /**
   * Another server has this configuration. `newer`: it is kept from now on. `foreign`: it is newer and has other members, so the options of this server are out of date and
   * nothing that it says about a quorum would be right.
   */
  learn(text: string): 'old' | 'newer' | 'foreign' {
    if (text === this.text) return 'old';
    const version = versionOf(text);
    if (version === undefined || compareZxid(version, this.version) <= 0) return 'old';
    if (membersIn(text) !== this.#members) return 'foreign';
    this.text = text;
    this.version = version;
    return 'newer';
  }
}

function versionOf(text: string): Long | undefined {
  const found = /^version=([0-9a-f]+)$/m.exec(text);
  return found === null ? undefined : parseZxidHex(found[1]);
}

/**
 * What a configuration says of quorums, in one order: who votes, with which weight and in which group, and who observes. Not the addresses, which each server may know by other
 * names.
 */
function membersIn(text: string): string {
  const roles = new Map<string, string>();
  const groups = new Map<string, string>();
  const weights = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, kind, name, value] = /^(server|group|weight)\.(\d+)=([^;]*)/.exec(line) ?? [];
    if (kind === 'server') roles.set(name, /:observer$/.test(value) ? 'observer' : 'participant');
    else if (kind === 'weight') weights.set(name, value);
    else if (kind === 'group') for (const id of value.split(':')) groups.set(id, name);
  }
  const describe = ([id, role]: [string, string]): string => {
    if (role === 'observer' || groups.size === 0) return `${id} ${role}`;
    return `${id} ${role} ${groups.get(id)} ${weights.get(id) ?? 1}`;
  };
  return [...roles].map(describe).sort().join('\n');
}

/** For the log and for errors. */
export const describeConfig = (text: string): string =>
  `version ${formatZxid(versionOf(text) ?? ZXID_NONE)}: ${text
    .split('\n')
    .filter((line) => line.startsWith('server.'))
    .join(', ')}`;
