import type Long from 'long';
import { formatZxid, zxidHex } from '../../model/zxid.ts';
import type { DiskUsage } from '../../seams/storage.ts';
import type { ConnectionView, PortView, SettingsView } from './port-view.ts';

/*
 * Four-letter words (PROTOCOL 18.3): what monitoring asks a server on its client port, without a session. The text is that of ZooKeeper 3.8.0, for there are programs that read it.
 */

/** The release whose client protocol is spoken: programs look at it to know what a server can do. */
const SPOKEN_RELEASE = '3.8.0';

const NOT_SERVING = 'This ZooKeeper instance is not currently serving requests';

/** Texts that are ready, or that need a look at the disk. */
type Answer = ((view: PortView) => string) | { readonly withUsage: (view: PortView, usage: DiskUsage | null) => string };

/** What is answered also while the server does not serve. */
const ALWAYS: Readonly<Record<string, (view: PortView) => string>> = {
  ruok: () => 'imok',
  envi: (view) => `Environment:\nzookeeper.version=${fullVersion(view)}\n${pairs(view.environment(), '=')}`,
  isro: ({ mode }) => (mode === null ? 'null' : mode === 'read-only' ? 'ro' : 'rw'),
};

const WHILE_SERVING: Readonly<Record<string, Answer>> = {
  srvr: (view) => `${greeting(view)}${serverText(view)}`,
  stat: (view) => `${greeting(view)}Clients:\n${connectionLines(view, briefly)}\n${serverText(view)}`,
  mntr: (view) => pairs(monitored(view), '\t', 'zk_'),
  conf: { withUsage: (view, usage) => `${settingsText(view.settings, usage)}${view.mode === 'standalone' ? '' : ensembleText(view)}` },
  cons: (view) => `${connectionLines(view, fully)}\n`,
  crst: (view) => {
    view.resetConnections();
    return 'Connection stats reset.\n';
  },
  srst: (view) => {
    view.resetServer();
    return 'Server stats reset.\n';
  },
  dump: (view) =>
    `SessionTracker dump:\n${sessionsText(view)}ephemeral nodes dump:\n${ephemeralsText(view)}Connections dump:\n${expiryText(view)}`,
  dirs: { withUsage: (_, usage) => `datadir_size: ${usage?.dataBytes ?? 0}\nlogdir_size: ${usage?.logBytes ?? 0}\n` },
  hash: (view) => {
    const digest = view.digest();
    return digest === null ? '' : `${zxidHex(digest.zxid)}: ${digest.value.toSigned()}\n`;
  },
  wchs: (view) => `${watchSummary(view)}\n`,
  wchc: (view) => `${listed(watchesBySession(view))}\n`,
  wchp: (view) => `${listed(view.watches().map(([path, sessions]) => [path, sessions.map(formatZxid)]))}\n`,
};

const WORDS: ReadonlySet<string> = new Set([...Object.keys(ALWAYS), ...Object.keys(WHILE_SERVING)]);

/** The word that a connection begins with; null if its first four bytes are none, but the length of a frame. ZooKeeper's words for its trace mask are none here: nothing is traced. */
export function parseWord(bytes: Uint8Array): string | null {
  if (bytes.length < 4) return null;
  const word = String.fromCharCode(bytes[0], bytes[1], bytes[2], bytes[3]);
  return WORDS.has(word) ? word : null;
}

/**
 * Whether a word is on the white list, where `*` is all of them. As with ZooKeeper `srvr` always is, since its scripts need it, and `isro` is in read-only mode, since
 * clients ask it when they look for a better server.
 */
export function isAllowed(word: string, whiteList: ReadonlySet<string>, readOnlyMode: boolean): boolean {
  return word === 'srvr' || (word === 'isro' && readOnlyMode) || whiteList.has('*') || whiteList.has(word);
}

export const refusedText = (word: string): string => `${word} is not executed because it is not in the whitelist.\n`;

/** The answer to a word that {@link parseWord} gave and that is allowed. `tell` once, before this returns unless it needs a look at the disk. */
export function answerWord(word: string, view: PortView, tell: (text: string) => void): void {
  const always = ALWAYS[word];
  if (always !== undefined) return tell(always(view));
  // This one word's refusal has no end of line.
  if (view.mode === null) return tell(word === 'hash' ? NOT_SERVING : `${NOT_SERVING}\n`);
  const answer = WHILE_SERVING[word];
  if (typeof answer === 'function') return tell(answer(view));
  view.usage((usage) => tell(view.mode === null ? `${NOT_SERVING}\n` : answer.withUsage(view, usage)));
}

const fullVersion = ({ version }: PortView): string => `${SPOKEN_RELEASE}-${version}`;

// ---- srvr, stat, cons ----

function greeting(view: PortView): string {
  const readOnly = view.mode === 'read-only' ? 'READ-ONLY mode; serving only read-only clients\n' : '';
  return `Zookeeper version: ${fullVersion(view)}\n${readOnly}`;
}

function serverText(view: PortView): string {
  const { latency, proposals } = view;
  const lines = [
    `Latency min/avg/max: ${latency.min}/${decimal(latency.average)}/${latency.max}`,
    `Received: ${view.received}`,
    `Sent: ${view.sent}`,
    `Connections: ${view.connectionCount}`,
    `Outstanding: ${view.outstanding}`,
    `Zxid: ${formatZxid(view.lastZxid)}`,
    `Mode: ${view.mode}`,
    `Node count: ${view.nodeCount}`,
  ];
  if (view.mode === 'leader') lines.push(`Proposal sizes last/min/max: ${proposals.last}/${proposals.min}/${proposals.max}`);
  return `${lines.join('\n')}\n`;
}

/** Up to four places after the point, and at least one. */
function decimal(value: number): string {
  const rounded = Math.round(value * 10_000) / 10_000;
  return Number.isInteger(rounded) ? `${rounded}.0` : String(rounded);
}

const connectionLines = (view: PortView, line: (connection: ConnectionView) => string): string =>
  view
    .connections()
    .map((connection) => ` /${connection.remote}[${connection.interest.toString(16)}](${line(connection)})\n`)
    .join('');

const briefly = ({ queued, received, sent }: ConnectionView): string => `queued=${queued},recved=${received},sent=${sent}`;

function fully(connection: ConnectionView): string {
  const { sessionId, latency } = connection;
  if (sessionId.isZero()) return briefly(connection);
  const fields: [string, string | number][] = [
    ['sid', formatZxid(sessionId)],
    ['lop', connection.lastOp],
    ['est', connection.established],
    ['to', connection.timeout],
  ];
  if (connection.lastXid >= 0) fields.push(['lcxid', `0x${connection.lastXid.toString(16)}`]);
  fields.push(
    ['lzxid', formatZxid(connection.lastZxid)],
    ['lresp', connection.lastResponse],
    ['llat', connection.lastLatency],
    ['minlat', latency.min],
    ['avglat', Math.floor(latency.average)],
    ['maxlat', latency.max],
  );
  return `${briefly(connection)},${fields.map(([name, value]) => `${name}=${value}`).join(',')}`;
}

// ---- conf ----

function settingsText(settings: SettingsView, usage: DiskUsage | null): string {
  const folders: [string, string | number][] =
    usage === null
      ? []
      : [
          ['dataDir', usage.dataDir],
          ['dataDirSize', usage.dataBytes],
          ['dataLogDir', usage.logDir],
          ['dataLogSize', usage.logBytes],
        ];
  return pairs(
    [
      ['clientPort', settings.clientPort],
      ['secureClientPort', -1],
      ...folders,
      ['tickTime', settings.tickTime],
      ['maxClientCnxns', settings.maxClientCnxns],
      ['minSessionTimeout', settings.minSessionTimeout],
      ['maxSessionTimeout', settings.maxSessionTimeout],
      ['clientPortListenBacklog', -1],
      ['serverId', settings.id],
    ],
    '=',
  );
}

function ensembleText({ mode, settings }: PortView): string {
  const lines = pairs(
    [
      ['initLimit', settings.initLimit],
      ['syncLimit', settings.syncLimit],
      ['electionAlg', settings.election === 'fast' ? 3 : 0],
      ['electionPort', settings.electionPort],
      ['quorumPort', settings.quorumPort],
      ['peerType', settings.role === 'participant' ? 0 : 1],
    ],
    '=',
  );
  return mode === 'read-only' ? lines : `${lines}membership: \n${settings.membership}`;
}

// ---- mntr ----

/** What follows from the rest of the view; the view's own gauges come behind. */
function* monitored(view: PortView): Generator<[string, string | number]> {
  const { mode, latency, proposals } = view;
  yield ['version', fullVersion(view)];
  yield ['server_state', mode ?? ''];
  if (mode === 'leader') yield ['peer_state', 'leading - broadcast'];
  if (mode === 'follower') yield ['peer_state', 'following - broadcast'];
  if (mode === 'observer') yield ['peer_state', 'observing - broadcast'];
  yield ['avg_latency', decimal(latency.average)];
  yield ['min_latency', latency.min];
  yield ['max_latency', latency.max];
  yield ['packets_received', view.received];
  yield ['packets_sent', view.sent];
  yield ['num_alive_connections', view.connectionCount];
  yield ['outstanding_requests', view.outstanding];
  yield ['znode_count', view.nodeCount];
  yield ['connection_drop_probability', decimal(0)];
  if (mode === 'leader') {
    yield ['last_proposal_size', proposals.last];
    yield ['min_proposal_size', proposals.min];
    yield ['max_proposal_size', proposals.max];
  }
  yield* view.gauges() as Iterable<[string, number]>;
}

// ---- dump ----

function sessionsText(view: PortView): string {
  const sessions = view.sessions();
  if (sessions.kind === 'expiring') return `Session ${buckets(sessions.buckets.map(({ at, ids }) => [at, ids.map(formatZxid)]))}`;
  const known = [...sessions.sessions].sort((a, b) => a.id.toSigned().compare(b.id.toSigned()));
  return `Global Sessions(${known.length}):\n${known.map(({ id, timeout }) => `${formatZxid(id)}\t${timeout}ms\n`).join('')}`;
}

function ephemeralsText(view: PortView): string {
  const owners = view.ephemerals();
  return `Sessions with Ephemerals (${owners.length}):\n${listed(owners.map(([owner, paths]) => [`${formatZxid(owner)}:`, paths]))}`;
}

function expiryText(view: PortView): string {
  const byTime = new Map<number, string[]>();
  for (const { expires, remote, sessionId } of view.connections()) {
    const line = `ip: /${remote} sessionId: ${formatZxid(sessionId)}`;
    byTime.set(expires, [...(byTime.get(expires) ?? []), line]);
  }
  return `Connections ${buckets([...byTime])}`;
}

/** Sets by the time at which they expire, the earliest first. */
function buckets(sets: readonly (readonly [at: number, members: readonly string[]])[]): string {
  const sorted = [...sets].sort(([a], [b]) => a - b);
  const total = sets.reduce((sum, [, members]) => sum + members.length, 0);
  return `Sets (${sets.length})/(${total}):\n${listed(sorted.map(([at, members]) => [`${members.length} expire at ${dateText(at)}:`, members]))}`;
}

/** As in `Sun Nov 22 15:45:55 UTC 2026`. */
function dateText(ms: number): string {
  const [weekday, day, month, year, time] = new Date(ms).toUTCString().split(/,? /);
  return `${weekday} ${month} ${day} ${time} UTC ${year}`;
}

// ---- wchs, wchc, wchp ----

function watchSummary(view: PortView): string {
  const watches = view.watches();
  const total = watches.reduce((sum, [, sessions]) => sum + sessions.length, 0);
  return `${watchesBySession(view).length} connections watching ${watches.length} paths\nTotal watches:${total}`;
}

function watchesBySession(view: PortView): (readonly [string, readonly string[]])[] {
  const bySession = new Map<string, string[]>();
  const add = (session: Long, path: string): void => {
    const id = formatZxid(session);
    const paths = bySession.get(id);
    if (paths === undefined) bySession.set(id, [path]);
    else paths.push(path);
  };
  for (const [path, sessions] of view.watches()) for (const session of sessions) add(session, path);
  return [...bySession];
}

// ---- forms ----

const pairs = (entries: Iterable<readonly [string, string | number]>, between: string, before = ''): string =>
  [...entries].map(([name, value]) => `${before}${name}${between}${value}\n`).join('');

/** Heads, each with its members below it. */
const listed = (lists: readonly (readonly [head: string, members: readonly string[]])[]): string =>
  lists.map(([head, members]) => `${head}\n${members.map((member) => `\t${member}\n`).join('')}`).join('');
