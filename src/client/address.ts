import { ZabError } from '../model/errors.ts';
import { pathProblem } from '../tree/paths.ts';

/** Where a server listens for clients. */
export interface ClientAddress {
  readonly host: string;
  readonly port: number;
}

/** What a connect string names: servers, and the znode that paths are relative to. */
export interface ConnectString {
  readonly servers: readonly ClientAddress[];
  /** "" or a path without a slash at its end. */
  readonly chroot: string;
}

const DEFAULT_PORT = 2181;

function bad(what: string, text: string): ZabError {
  return new ZabError('BAD_OPTIONS', `servers: ${what} in ${JSON.stringify(text)}`);
}

/** Reads `host:port,host,[::1]:port/chroot`, as all ZooKeeper clients take it. Throws BAD_OPTIONS. */
export function parseConnectString(text: string): ConnectString {
  if (typeof text !== 'string') throw new ZabError('BAD_OPTIONS', `servers: must be a string such as "host:2181", not ${typeof text}`);
  const slash = text.indexOf('/');
  const list = slash === -1 ? text : text.slice(0, slash);
  const servers = list
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => parseAddress(part, text));
  if (servers.length === 0) throw bad('there is no server', text);
  return { servers, chroot: slash === -1 ? '' : parseChroot(text.slice(slash), text) };
}

function parseAddress(part: string, text: string): ClientAddress {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(part);
  if (match === null) throw bad(`${JSON.stringify(part)} is no host:port (an IPv6 address stands in brackets)`, text);
  const port = match[3] === undefined ? DEFAULT_PORT : Number(match[3]);
  if (port < 1 || port > 65535) throw bad(`port ${match[3]} is out of range`, text);
  return { host: match[1] ?? match[2], port };
}

function parseChroot(path: string, text: string): string {
  if (path === '/') return '';
  const problem = pathProblem(path);
  if (problem !== null) throw bad(`the chroot ${JSON.stringify(path)} is no path (${problem})`, text);
  return path;
}
