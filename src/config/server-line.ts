import type { ServerSpec } from '../node/api.ts';

/** What a `server.N` line says. */
export interface ServerLine {
  readonly server: ServerSpec;
  /** Where this server's clients connect; null when the line does not tell. */
  readonly client: { readonly host: string; readonly port: number } | null;
}

const FORM = 'must be host:quorumPort:electionPort[:participant|observer][;[clientHost:]clientPort]';

/**
 * Reads the value of a `server.N` line (PROTOCOL 18.1); IPv6 addresses stand in brackets. Throws a RangeError whose message is the rule that the line breaks.
 */
export function readServerLine(id: number, value: string): ServerLine {
  if (value.includes('|')) throw new RangeError('must name one address: several for one server, separated by |, are not offered');
  const parts = value.split(';');
  if (parts.length > 2) throw new RangeError(FORM);
  const [host, quorum, election, role, ...rest] = splitAddress(parts[0]);
  if (host === '' || quorum === undefined || election === undefined || rest.length > 0) throw new RangeError(FORM);
  const quorumPort = port('quorumPort', quorum);
  const electionPort = port('electionPort', election);
  if (quorumPort === electionPort) throw new RangeError('the quorum port and the election port must differ');
  return { server: { id, host, quorumPort, electionPort, role: readRole(role) }, client: parts.length === 2 ? readClient(parts[1]) : null };
}

/** The role in a server line or in `peerType`, in any case. Throws a RangeError for any other word. */
export function readRole(text: string | undefined): 'participant' | 'observer' {
  const role = text?.trim().toLowerCase() ?? 'participant';
  if (role === 'participant' || role === 'observer') return role;
  throw new RangeError('the role must be participant or observer');
}

function readClient(text: string): ServerLine['client'] {
  const parts = splitAddress(text.trim());
  if (parts.length > 2 || parts[0] === '') throw new RangeError(FORM);
  return parts.length === 1
    ? { host: '0.0.0.0', port: port('clientPort', parts[0]) }
    : { host: parts[0], port: port('clientPort', parts[1]) };
}

/** The parts between the colons; the first may be in brackets and then have colons itself. */
function splitAddress(text: string): string[] {
  if (!text.startsWith('[')) return text.trim().split(':');
  const [, host, rest] = /^\[([^[\]]*)\]:(.*)$/.exec(text.trim()) ?? [];
  if (host === undefined) throw new RangeError(FORM);
  return [host, ...rest.split(':')];
}

function port(name: string, text: string): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (value < 1 || value > 65535) throw new RangeError(`${name} must be a whole number from 1 to 65535`);
  return value;
}
