import Long from 'long';
import type { Request, SyncRequest, WriteRequest, ZnodeRecord } from '../model/records.ts';
import { formatZxid, makeZxid, ZXID_NONE } from '../model/zxid.ts';
import { octetsFromBytes, octetsFromText } from '../util/bytes.ts';
import { JuteWriter } from '../wire/jute.ts';
import { encodeRequestBody } from '../wire/requests.ts';
import { LogEntry } from '../zab/entry.ts';
import { type ElectionMessage, NON_VOTER, Packet, PeerState, PROTOCOL_VERSION, type QuorumMessage } from '../zab/messages.ts';
import { SampleSource, sampleEntry } from './storage-kit.ts';

/*
 * Messages to send through a transport, and the form in which what arrives is compared with what was sent.
 */

const z = makeZxid;
/** Ids and zxids use all their bits. */
const LAST_ZXID = z(0x7fffffff, 0xffffffff);
const SESSION = z(0xff000000, 0x80000001);

export const ack = (n: number): QuorumMessage => ({ type: Packet.ACK, zxid: z(1, n) });

/** ACKs `from` to `to`, both included. */
export const acks = (from: number, to: number): QuorumMessage[] => Array.from({ length: to - from + 1 }, (_, i) => ack(from + i));

/** The counters of zxids, in the order received. */
export const counters = (messages: readonly QuorumMessage[]): number[] => messages.map((m) => ('zxid' in m ? m.zxid.low : -1));

export const vote = (leader: number): ElectionMessage => ({
  kind: 'notification',
  state: PeerState.LOOKING,
  leader,
  zxid: z(1, 1),
  electionEpoch: 1,
  peerEpoch: 1,
  version: 2,
  config: 'version=0',
});

/** The leaders of notifications, in the order received. */
export const leaders = (messages: readonly ElectionMessage[]): number[] => messages.map((m) => (m.kind === 'voteRequest' ? -1 : m.leader));

// ---- the quorum port ----

/** A request as it comes from a client of another process: `bodyBytes` of it have no meaning. */
export function rawRequest(cxid: number, bodyBytes: number): QuorumMessage {
  const body = Uint8Array.from({ length: bodyBytes }, (_, i) => i);
  return { type: Packet.REQUEST, request: { sessionId: SESSION, cxid, op: 1, auth: [], record: null, body } };
}

function ownRequest(cxid: number, record: WriteRequest | SyncRequest): QuorumMessage {
  const auth = [
    { scheme: 'ip', id: '127.0.0.1' },
    { scheme: 'digest', id: 'bénédicte:x' },
  ];
  return { type: Packet.REQUEST, request: { sessionId: SESSION, cxid, op: record.op, auth, record, body: null } };
}

/** Every packet that a learner sends. */
export const fromLearner = (): QuorumMessage[] => [
  { type: Packet.FOLLOWERINFO, zxid: z(7, 0), serverId: 255, protocolVersion: PROTOCOL_VERSION, configVersion: ZXID_NONE },
  { type: Packet.OBSERVERINFO, zxid: z(0x7fffffff, 0), serverId: 1, protocolVersion: PROTOCOL_VERSION, configVersion: z(1, 2) },
  { type: Packet.ACKEPOCH, zxid: LAST_ZXID, currentEpoch: 6 },
  { type: Packet.ACKEPOCH, zxid: ZXID_NONE, currentEpoch: -1 },
  { type: Packet.ACK, zxid: LAST_ZXID },
  { type: Packet.PING, zxid: z(1, 3), touches: [] },
  {
    type: Packet.PING,
    zxid: z(1, 4),
    touches: [
      { sessionId: SESSION, timeout: 4000 },
      { sessionId: z(1, 1), timeout: 0x7fffffff },
    ],
  },
  { type: Packet.REVALIDATE, sessionId: SESSION, timeout: 30_000 },
  rawRequest(1, 0),
  rawRequest(-2, 300),
  rawRequest(0x7fffffff, 70_000),
];

/** Requests of sessions in the learner's own process: they have a record and no bytes. */
export const requestsWithRecord = (): QuorumMessage[] => [
  ownRequest(1, {
    op: 1,
    path: '/Ä',
    data: octetsFromText('data'),
    acl: [{ perms: 31, scheme: 'world', id: 'anyone' }],
    flags: 3,
    ttl: -1,
  }),
  ownRequest(2, { op: 21, path: '/ttl', data: null, acl: null, flags: 5, ttl: 5000 }),
  ownRequest(3, { op: 2, path: '/a/b', version: -1 }),
  ownRequest(4, { op: 5, path: '/a', data: octetsFromText(''), version: 7 }),
  ownRequest(5, { op: 7, path: '/a', acl: [{ perms: 1, scheme: 'digest', id: 'u:p' }], version: 0 }),
  ownRequest(6, { op: 9, path: '/' }),
  ownRequest(7, {
    op: 14,
    ops: [
      { op: 13, path: '/a', version: 3 },
      { op: 5, path: '/a', data: octetsFromText('x'.repeat(5000)), version: 3 },
      { op: 2, path: '/b', version: -1 },
    ],
  }),
  ownRequest(8, { op: -10, timeout: 6000 }),
  ownRequest(9, { op: -11 }),
];

/** Every packet that a leader sends, but for a snapshot. */
export const fromLeader = (): QuorumMessage[] => [
  { type: Packet.LEADERINFO, zxid: z(8, 0), protocolVersion: PROTOCOL_VERSION },
  { type: Packet.DIFF, zxid: LAST_ZXID },
  { type: Packet.TRUNC, zxid: z(3, 0xfffffffe) },
  { type: Packet.NEWLEADER, zxid: z(8, 0), config: null },
  { type: Packet.NEWLEADER, zxid: z(8, 0), config: 'server.1=zürich:2888:3888:participant\nversion=0' },
  { type: Packet.UPTODATE, zxid: z(8, 0) },
  { type: Packet.PROPOSAL, entry: sampleEntry(8, 1) },
  { type: Packet.PROPOSAL, entry: sampleEntry(0x7fffffff, 0xffffffff, 'large', 70_000) },
  { type: Packet.COMMIT, zxid: z(8, 1) },
  { type: Packet.INFORM, entry: sampleEntry(8, 2) },
  { type: Packet.PING, zxid: z(8, 2), touches: null },
  { type: Packet.REVALIDATE, sessionId: SESSION, valid: true },
  { type: Packet.REVALIDATE, sessionId: SESSION, valid: false },
  { type: Packet.SYNC, zxid: z(8, 2) },
  { type: Packet.COMMITANDACTIVATE, zxid: z(8, 3), designatedLeader: 255 },
  { type: Packet.INFORMANDACTIVATE, entry: sampleEntry(8, 4), designatedLeader: 1 },
];

/** A snapshot of `count` znodes as a leader sends it, and NEWLEADER behind it. */
export function snapshotStream(epoch: number, count: number, dataBytes: number): QuorumMessage[] {
  const zxid = z(epoch, 9);
  const source = new SampleSource(zxid, count, dataBytes);
  const parts: QuorumMessage[] = [];
  for (let limit = 1; ; limit = 3 * limit + 1) {
    const nodes: readonly ZnodeRecord[] = source.next(limit);
    if (nodes.length === 0) break;
    parts.push({ type: Packet.SNAPSHOT_NODES, nodes });
  }
  return [
    { type: Packet.SNAP, zxid },
    { type: Packet.SNAPSHOT_HEAD, head: count === 0 ? { sessions: [], acls: [] } : source.head },
    ...parts,
    { type: Packet.SNAPSHOT_END },
    { type: Packet.NEWLEADER, zxid: z(epoch + 1, 0), config: 'version=0' },
  ];
}

// ---- the election port ----

/** Notifications in all their forms (PROTOCOL 14.2). */
export const notifications = (): ElectionMessage[] => {
  const kind = 'notification';
  const config = 'version=0';
  return [
    { kind, state: PeerState.LOOKING, leader: 1, zxid: ZXID_NONE, electionEpoch: 1, peerEpoch: 0, version: 2, config },
    { kind, state: PeerState.FOLLOWING, leader: 255, zxid: LAST_ZXID, electionEpoch: 2 ** 40, peerEpoch: 0x7fffffff, version: 2, config },
    { kind, state: PeerState.LEADING, leader: 2, zxid: z(4, 5), electionEpoch: 9, peerEpoch: 4, version: 2, config: 'ü'.repeat(40_000) },
    {
      kind,
      state: PeerState.OBSERVING,
      leader: NON_VOTER,
      zxid: z(0x80000000, 0),
      electionEpoch: 9,
      peerEpoch: NON_VOTER,
      version: 2,
      config,
    },
    { kind, state: PeerState.LOOKING, leader: 3, zxid: z(4, 5), electionEpoch: 9, peerEpoch: 4, version: 0, config: null },
    { kind, state: PeerState.FOLLOWING, leader: 3, zxid: z(4, 5), electionEpoch: 10, peerEpoch: undefined, version: 0, config: null },
  ];
};

/** What the basic election says (PROTOCOL 14.5). */
export const basicMessages = (): ElectionMessage[] => [
  { kind: 'voteRequest', xid: 0x7fffffff },
  { kind: 'voteRequest', xid: -5 },
  { kind: 'voteResponse', xid: -5, id: 2, leader: 255, zxid: LAST_ZXID },
  { kind: 'voteResponse', xid: 0, id: 1, leader: 1, zxid: ZXID_NONE },
];

// ---- comparing ----

/** Messages as text, in a form that is the same for all that counts as equal: a line each, and one for each znode of a snapshot. */
export function shown(messages: readonly QuorumMessage[]): string[] {
  return messages.flatMap((message) => {
    if (message.type === Packet.SNAPSHOT_NODES) return message.nodes.map((node) => JSON.stringify(plain(node)));
    return [JSON.stringify(plain(message.type === Packet.REQUEST ? { ...message, request: withBody(message.request) } : message))];
  });
}

/** How many lines {@link shown} would give. */
export const countShown = (messages: readonly QuorumMessage[]): number =>
  messages.reduce((count, message) => count + (message.type === Packet.SNAPSHOT_NODES ? message.nodes.length : 1), 0);

export const shownElection = (messages: readonly ElectionMessage[]): string[] => messages.map((message) => JSON.stringify(plain(message)));

function withBody(request: Request): Request {
  if (request.body !== null || request.record === null) return { ...request, record: null };
  const w = new JuteWriter();
  encodeRequestBody(w, request.record);
  return { ...request, record: null, body: w.copy() };
}

/** Without what may differ: the kind of byte array, the sign of a Long, the order of fields, fields that are not there. */
function plain(value: unknown): unknown {
  if (Long.isLong(value)) return formatZxid(value.toUnsigned());
  if (value instanceof Uint8Array) return octetsFromBytes(value);
  if (value instanceof LogEntry) return { zxid: plain(value.zxid), bytes: plain(value.bytes) };
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  fields.sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(fields.map(([key, field]) => [key, plain(field)]));
}
