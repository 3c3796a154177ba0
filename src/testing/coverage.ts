import type Long from 'long';
import type { Txn } from '../model/records.ts';
import { counterOf } from '../model/zxid.ts';
import type { Role } from '../node/api.ts';
import type { Recovered } from '../seams/storage.ts';
import { Packet, type QuorumMessage } from '../zab/messages.ts';
import { opName, packetName } from './describe.ts';
import { Blind, type Deed } from './probe.ts';
import { WIRE_DEEDS } from './wire-deeds.ts';

const LEADER_GETS = ['FOLLOWERINFO', 'OBSERVERINFO', 'ACKEPOCH', 'ACK', 'PING', 'REQUEST', 'REVALIDATE'] as const;
const LEARNER_GETS = [
  'LEADERINFO',
  'DIFF',
  'TRUNC',
  'SNAP',
  'SNAPSHOT_HEAD',
  'SNAPSHOT_NODES',
  'SNAPSHOT_END',
  'NEWLEADER',
  'UPTODATE',
  'PROPOSAL',
  'COMMIT',
  'INFORM',
  'PING',
  'REVALIDATE',
  'SYNC',
] as const;
const ROLES: readonly Role[] = ['leading', 'following', 'observing'];
const TRANSACTIONS = [
  'create2',
  'createContainer',
  'createTtl',
  'delete',
  'deleteContainer',
  'setData',
  'setAcl',
  'multi',
  'error',
  'createSession',
  'closeSession',
];

/** Every transition that a thorough exploration must have gone through. */
export const TRANSITIONS: readonly string[] = [
  ...ROLES.flatMap((role) => [`looking -> ${role}`, `${role} -> looking`, `${role} -> stopped`]),
  'looking -> stopped',
  ...LEADER_GETS.map((packet) => `leader gets ${packet}`),
  ...LEARNER_GETS.map((packet) => `learner gets ${packet}`),
  ...['PROPOSAL', 'COMMIT'].map((packet) => `learner gets ${packet} between its synchronisation and UPTODATE`),
  'accepted epoch written',
  'current epoch written',
  'log truncated',
  'history replaced by a snapshot',
  'snapshotWritten',
  'logReadForLearner',
  'logNotReadForLearner',
  'electionLinkUp',
  'electionLinkDown',
  'quorumLinkLost',
  'recovered from nothing',
  'recovered from a log alone',
  'recovered from a snapshot and a log',
  'recovered with a promised epoch',
  'tree replaced while serving before',
  'first transaction of an epoch',
  ...TRANSACTIONS.map((op) => `applied ${op}`),
  'REVALIDATE: the session lives',
  'REVALIDATE: the session is over',
  ...WIRE_DEEDS,
];

/** Counts how often each transition of the protocol was reached. */
export class Coverage extends Blind {
  readonly counts = new Map<string, number>(TRANSITIONS.map((name) => [name, 0]));
  readonly #roles = new Map<number, Role>();
  readonly #synchronising = new Set<number>();
  readonly #shown = new Set<number>();

  count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }

  override booted(server: number): void {
    this.#roles.set(server, 'stopped');
    this.#shown.delete(server);
  }

  override role(server: number, role: Role): void {
    const before = this.#roles.get(server) ?? 'stopped';
    this.#roles.set(server, role);
    if (before !== role && !(before === 'stopped' && role === 'looking')) this.count(`${before} -> ${role}`);
  }

  override received(_from: number, to: number, _link: number, message: QuorumMessage): void {
    const name = packetName(message);
    // Only a learner gets these; what both sides get is told apart by what it carries.
    const toLearner = isForLearner(message);
    this.count(`${toLearner ? 'learner' : 'leader'} gets ${name}`);
    if (!toLearner) return;
    if (message.type === Packet.REVALIDATE) this.count(`REVALIDATE: the session ${message.valid ? 'lives' : 'is over'}`);
    if (message.type === Packet.LEADERINFO) this.#synchronising.add(to);
    else if (message.type === Packet.UPTODATE) this.#synchronising.delete(to);
    else if (this.#synchronising.has(to) && (message.type === Packet.PROPOSAL || message.type === Packet.COMMIT))
      this.count(`learner gets ${name} between its synchronisation and UPTODATE`);
  }

  override recovered(_server: number, found: Recovered): void {
    if (found.lastZxid.isZero()) this.count('recovered from nothing');
    else this.count(found.snapshotZxid.isZero() ? 'recovered from a log alone' : 'recovered from a snapshot and a log');
    if (found.acceptedEpoch > found.currentEpoch) this.count('recovered with a promised epoch');
  }

  override truncated(): void {
    this.count('log truncated');
  }

  override installed(): void {
    this.count('history replaced by a snapshot');
  }

  override epoch(_server: number, which: 'accepted' | 'current'): void {
    this.count(`${which} epoch written`);
  }

  override applied(_server: number, txn: Txn): void {
    this.count(`applied ${opName(txn.header.type)}`);
    if (counterOf(txn.header.zxid as Long) === 1) this.count('first transaction of an epoch');
  }

  override shown(server: number): void {
    if (this.#shown.has(server)) this.count('tree replaced while serving before');
    this.#shown.add(server);
  }

  override did(_server: number, what: Deed): void {
    this.count(what);
  }
}

function isForLearner(message: QuorumMessage): boolean {
  switch (message.type) {
    case Packet.PING:
      return message.touches === null;
    case Packet.REVALIDATE:
      return message.valid !== undefined;
    case Packet.FOLLOWERINFO:
    case Packet.OBSERVERINFO:
    case Packet.ACKEPOCH:
    case Packet.ACK:
    case Packet.REQUEST:
      return false;
    default:
      return true;
  }
}
