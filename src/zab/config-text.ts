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

/** ZooKeeper's text of an ensemble (PROTOCOL 18.1): in NEWLEADER, in notifications and in /zookeeper/config. Version 0: it never changes. */
export function configText(servers: readonly ConfigServer[]): string {
  const lines = servers.map(serverLine);
  const groups = new Map<number, number[]>();
  for (const s of servers) if (s.group !== undefined) groups.set(s.group, [...(groups.get(s.group) ?? []), s.id]);
  for (const [group, members] of groups) lines.push(`group.${group}=${members.join(':')}`);
  if (groups.size > 0) for (const s of servers) if (s.role !== 'observer') lines.push(`weight.${s.id}=${s.weight ?? 1}`);
  lines.push('version=0');
  return lines.join('\n');
}
