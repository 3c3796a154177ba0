import { readFileSync } from 'node:fs';
import Long from 'long';
import { parseZxidHex } from '../../src/model/zxid.ts';
import type { ConnectionView, PortView, ServerMode, SessionsView, SettingsView, Sizes } from '../../src/node/port/port-view.ts';
import type { DiskUsage } from '../../src/seams/storage.ts';

/** What Apache ZooKeeper's servers have answered, by word. */
export function answersOf(file: string): Map<string, string> {
  const text = readFileSync(new URL(`../vectors/fourletter/${file}.txt`, import.meta.url), 'utf8');
  // Behind each text comes a line end of the file's own.
  const parts = text.split(/^=== (\w+) \(\d+ bytes\)\n/m).slice(1);
  const answers = new Map<string, string>();
  for (let i = 0; i < parts.length; i += 2) if (!answers.has(parts[i])) answers.set(parts[i], parts[i + 1].slice(0, -1));
  return answers;
}

const hex = (text: string): Long => parseZxidHex(text.replace(/^0x/, ''))!;

const fieldsOf = (text: string, between: string): [string, string][] =>
  text
    .split('\n')
    .filter((line) => line.includes(between))
    .map((line) => [line.slice(0, line.indexOf(between)), line.slice(line.indexOf(between) + between.length)]);

/** Heads at the left margin, each with the lines below it that begin with a tab. */
function listsOf(text: string): [string, string[]][] {
  const lists: [string, string[]][] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('\t')) lists.at(-1)?.[1].push(line.slice(1));
    else if (line !== '') lists.push([line, []]);
  }
  return lists;
}

const NOTHING: ConnectionView = {
  remote: '',
  interest: 0,
  queued: 0,
  received: 0,
  sent: 0,
  expires: 0,
  sessionId: Long.UZERO,
  timeout: 0,
  established: 0,
  lastOp: 'NA',
  lastXid: -1,
  lastZxid: Long.UZERO,
  lastResponse: 0,
  lastLatency: 0,
  latency: { min: 0, average: 0, max: 0 },
};

/** A view that shows nothing but what it is given. */
export function viewWith(mode: ServerMode | null, shown: Partial<PortView>): PortView {
  return {
    mode,
    version: 'test',
    environment: () => [],
    lastZxid: Long.UZERO,
    nodeCount: 0,
    outstanding: 0,
    received: 0,
    sent: 0,
    latency: { min: 0, average: 0, max: 0 },
    proposals: { last: -1, min: -1, max: -1 },
    settings: {} as SettingsView,
    connectionCount: 0,
    connections: () => [],
    sessions: () => ({ kind: 'known', sessions: [] }),
    ephemerals: () => [],
    watches: () => [],
    gauges: () => [],
    digest: () => null,
    usage: (done) => done(null),
    resetServer: () => {},
    resetConnections: () => {},
    ...shown,
  };
}

/** A view of a server that would answer `word` with `text`, as far as this text tells. */
export function viewBehind(word: string, text: string, mode: ServerMode | null): PortView {
  return viewWith(mode, mode === null && word !== 'envi' ? {} : (READERS[word]?.(text) ?? {}));
}

const READERS: Readonly<Record<string, (text: string) => Partial<PortView>>> = {
  srvr: serverOf,
  stat: (text) => ({ ...serverOf(text), connections: () => connectionsOf(text) }),
  cons: (text) => ({ connections: () => connectionsOf(text) }),
  envi: (text) => {
    const [[, version], ...rest] = fieldsOf(text, '=');
    return { version: version.replace('3.8.0-', ''), environment: () => rest };
  },
  mntr: monitorOf,
  conf: settingsOf,
  dirs: (text) => {
    const [[, data], [, log]] = fieldsOf(text, ': ');
    return { usage: (done) => done({ dataDir: '', logDir: '', dataBytes: Number(data), logBytes: Number(log) }) };
  },
  dump: dumpOf,
  wchp: (text) => ({ watches: () => listsOf(text).map(([path, sessions]) => [path, sessions.map(hex)] as const) }),
  wchc: (text) => ({ watches: () => listsOf(text).flatMap(([session, paths]) => paths.map((path) => [path, [hex(session)]] as const)) }),
};

function serverOf(text: string): Partial<PortView> {
  const fields = new Map(fieldsOf(text, ': '));
  const number = (name: string): number => Number(fields.get(name));
  const [min, average, max] = fields.get('Latency min/avg/max')!.split('/').map(Number);
  const [last, least, most] = (fields.get('Proposal sizes last/min/max') ?? '').split('/').map(Number);
  return {
    version: fields.get('Zookeeper version')!.replace('3.8.0-', ''),
    latency: { min, average, max },
    proposals: { last, min: least, max: most },
    received: number('Received'),
    sent: number('Sent'),
    connectionCount: number('Connections'),
    outstanding: number('Outstanding'),
    lastZxid: hex(fields.get('Zxid')!),
    nodeCount: number('Node count'),
  };
}

function connectionsOf(text: string): ConnectionView[] {
  return [...text.matchAll(/^ \/(.*)\[(\w+)\]\((.*)\)$/gm)].map(([, remote, interest, list]) => {
    const fields = new Map(list.split(',').map((field) => field.split('=') as [string, string]));
    const number = (name: string): number => Number(fields.get(name) ?? -1);
    return {
      ...NOTHING,
      remote,
      interest: Number.parseInt(interest, 16),
      queued: number('queued'),
      received: number('recved'),
      sent: number('sent'),
      sessionId: hex(fields.get('sid') ?? '0'),
      timeout: number('to'),
      established: number('est'),
      lastOp: fields.get('lop') ?? '',
      lastXid: number('lcxid'),
      lastZxid: hex(fields.get('lzxid') ?? '0'),
      lastResponse: number('lresp'),
      lastLatency: number('llat'),
      latency: { min: number('minlat'), average: number('avglat') + 0.9, max: number('maxlat') },
    };
  });
}

function monitorOf(text: string): Partial<PortView> {
  const fields = new Map(fieldsOf(text, '\t').map(([name, value]) => [name.replace(/^zk_/, ''), value]));
  const number = (name: string): number => Number(fields.get(name) ?? -1);
  const sizes: Sizes = { last: number('last_proposal_size'), min: number('min_proposal_size'), max: number('max_proposal_size') };
  return {
    version: fields.get('version')!.replace('3.8.0-', ''),
    latency: { min: number('min_latency'), average: number('avg_latency'), max: number('max_latency') },
    received: number('packets_received'),
    sent: number('packets_sent'),
    connectionCount: number('num_alive_connections'),
    outstanding: number('outstanding_requests'),
    nodeCount: number('znode_count'),
    proposals: sizes,
    gauges: () => GAUGES.flatMap((name) => (fields.has(name) ? [[name, number(name)] as const] : [])),
  };
}

/** Some that a port could give. */
const GAUGES = ['watch_count', 'ephemerals_count', 'global_sessions', 'uptime', 'learners', 'quorum_size', 'observer_master_id'];

function settingsOf(text: string): Partial<PortView> {
  const fields = new Map(fieldsOf(text, '='));
  const number = (name: string): number => Number(fields.get(name));
  const usage: DiskUsage = {
    dataDir: fields.get('dataDir')!,
    dataBytes: number('dataDirSize'),
    logDir: fields.get('dataLogDir')!,
    logBytes: number('dataLogSize'),
  };
  const settings: SettingsView = {
    id: number('serverId'),
    clientPort: number('clientPort'),
    tickTime: number('tickTime'),
    maxClientCnxns: number('maxClientCnxns'),
    minSessionTimeout: number('minSessionTimeout'),
    maxSessionTimeout: number('maxSessionTimeout'),
    initLimit: number('initLimit'),
    syncLimit: number('syncLimit'),
    election: fields.get('electionAlg') === '3' ? 'fast' : 'basic',
    electionPort: number('electionPort'),
    quorumPort: number('quorumPort'),
    role: fields.get('peerType') === '0' ? 'participant' : 'observer',
    membership: text.split('membership: \n')[1],
  };
  return { settings, usage: (done) => done(usage) };
}

function dumpOf(text: string): Partial<PortView> {
  const [, sessions, ephemerals, connections] = text.split(/^SessionTracker dump:\n|^ephemeral nodes dump:\n|^Connections dump:\n/m);
  const timed = (part: string) =>
    listsOf(part)
      .slice(1)
      .map(([head, members]) => [Date.parse(/ at (.*):$/.exec(head)![1]), members] as const);
  const view: SessionsView = sessions.startsWith('Global')
    ? {
        kind: 'known',
        // In an order that is not the one of the answer.
        sessions: fieldsOf(sessions, '\t')
          .reverse()
          .map(([id, timeout]) => ({ id: hex(id), timeout: Number.parseInt(timeout, 10) })),
      }
    : {
        kind: 'expiring',
        buckets: timed(sessions)
          .reverse()
          .map(([at, ids]) => ({ at, ids: ids.map(hex) })),
      };
  const owned = listsOf(ephemerals)
    .slice(1)
    .map(([owner, paths]) => [hex(owner.replace(':', '')), paths] as const);
  const clients = timed(connections).flatMap(([expires, members]) =>
    members.map((line) => {
      const [, remote, id] = /^ip: \/(.*) sessionId: (.*)$/.exec(line)!;
      return { ...NOTHING, expires, remote, sessionId: hex(id) };
    }),
  );
  return { sessions: () => view, ephemerals: () => owned, connections: () => clients };
}
