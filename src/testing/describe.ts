import { Op } from '../model/codes.ts';
import type { Txn } from '../model/records.ts';
import { formatZxid } from '../model/zxid.ts';
import { type ElectionMessage, Packet, PeerState, type QuorumMessage } from '../zab/messages.ts';

const PACKETS = new Map<number, string>(Object.entries(Packet).map(([name, type]) => [type, name]));
const OPS = new Map<number, string>(Object.entries(Op).map(([name, code]) => [code, name]));
const STATES = new Map<number, string>(Object.entries(PeerState).map(([name, state]) => [state, name]));

/** The packet's name, such as PROPOSAL. */
export const packetName = (message: QuorumMessage): string => PACKETS.get(message.type) ?? String(message.type);

/** The operation's name, such as create. */
export const opName = (op: number): string => OPS.get(op) ?? `op ${op}`;

/** A quorum message in a few words. */
export function describeMessage(message: QuorumMessage): string {
  const name = packetName(message);
  if ('entry' in message) return `${name} ${formatZxid(message.entry.zxid)}`;
  if ('zxid' in message) return `${name} ${formatZxid(message.zxid)}`;
  if ('request' in message) return `${name} ${opName(message.request.op)} of session 0x${message.request.sessionId.toString(16)}`;
  if ('sessionId' in message)
    return `${name} session 0x${message.sessionId.toString(16)}${message.valid === undefined ? '' : ` ${message.valid}`}`;
  if ('nodes' in message) return `${name} ${message.nodes.length} znodes`;
  return name;
}

/** An election message in a few words. */
export function describeElection(message: ElectionMessage): string {
  if (message.kind === 'voteRequest') return 'asks for its vote';
  if (message.kind === 'voteResponse') return `votes for ${message.leader} at ${formatZxid(message.zxid)}`;
  return `${STATES.get(message.state)} in round ${message.electionEpoch}, votes for ${message.leader} at ${formatZxid(message.zxid)} of epoch ${message.peerEpoch}`;
}

/** A transaction in a few words. */
export function describeTxn({ header, body }: Txn): string {
  const path = 'path' in body ? ` ${body.path}` : '';
  return `${formatZxid(header.zxid)} ${opName(header.type)}${path}`;
}
