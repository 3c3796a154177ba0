import { connect, type Socket } from 'node:net';
import Long from 'long';
import {
  compareZxid,
  encodeQuorumMessage,
  epochOf,
  JuteWriter,
  makeZxid,
  Packet,
  QuorumDecoder,
  type QuorumMessage,
  type ServerSpec,
  ZXID_NONE,
} from '../../src/index.ts';
import { eventually } from './client.ts';

/** A reproducible source of bytes (mulberry32). */
export function seeded(seed: number): (bound: number) => number {
  let a = seed >>> 0;
  return (bound) => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * bound);
  };
}

export function frame(message: QuorumMessage): Uint8Array {
  const w = new JuteWriter(256);
  encodeQuorumMessage(w, message);
  return w.copy();
}

/** The first packet of a learner. */
export const introduction = (serverId: number, fields: Partial<Extract<QuorumMessage, { type: 11 | 16 }>> = {}): Uint8Array =>
  frame({ type: Packet.FOLLOWERINFO, zxid: ZXID_NONE, serverId, protocolVersion: 0x10000, configVersion: ZXID_NONE, ...fields });

/** A connection of somebody who keeps to no rule. */
export class Attacker {
  readonly socket: Socket;
  connected = false;
  closed = false;
  received = 0;

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1' });
    this.socket.on('error', () => {});
    this.socket.on('connect', () => {
      this.connected = true;
    });
    this.socket.on('close', () => {
      this.closed = true;
    });
    this.socket.on('data', (chunk) => {
      this.received += chunk.length;
    });
  }

  send(...parts: Uint8Array[]): this {
    for (const part of parts) this.socket.write(part);
    return this;
  }

  /** Waits until the other side has ended the connection. */
  async refused(what: string, limit?: number): Promise<void> {
    await eventually(`${what}: the connection is closed`, () => this.closed, limit);
  }

  end(): void {
    this.socket.destroy();
  }
}

/** An observer that speaks the protocol up to UPTODATE and then sends what it likes. */
export class FakeObserver {
  readonly attacker: Attacker;
  active = false;
  lastZxid: Long = ZXID_NONE;
  /** What came with INFORM since UPTODATE. */
  readonly informs: { zxid: Long; type: number }[] = [];
  synced = 0;
  #epoch = 0;
  readonly #decoder = new QuorumDecoder('learner', 1 << 24);

  constructor(leader: ServerSpec, serverId: number) {
    this.attacker = new Attacker(leader.quorumPort);
    this.attacker.send(introduction(serverId, { type: Packet.OBSERVERINFO }));
    this.attacker.socket.on('data', (chunk) => {
      const messages: QuorumMessage[] = [];
      this.#decoder.push(chunk, messages);
      for (const message of messages) this.#take(message);
    });
  }

  send(...messages: QuorumMessage[]): void {
    for (const message of messages) this.attacker.send(frame(message));
  }

  #take(m: QuorumMessage): void {
    if ('entry' in m && compareZxid(m.entry.zxid, this.lastZxid) > 0) this.lastZxid = m.entry.zxid;
    switch (m.type) {
      case Packet.LEADERINFO:
        this.#epoch = epochOf(m.zxid);
        return this.send({ type: Packet.ACKEPOCH, zxid: ZXID_NONE, currentEpoch: 0 });
      case Packet.NEWLEADER:
        return this.send({ type: Packet.ACK, zxid: makeZxid(this.#epoch, 0) });
      case Packet.UPTODATE:
        this.active = true;
        return this.send({ type: Packet.ACK, zxid: makeZxid(this.#epoch, 0) });
      case Packet.PING:
        return this.send({ type: Packet.PING, zxid: m.zxid, touches: [] });
      case Packet.SYNC:
        this.synced++;
        return;
      case Packet.INFORM:
        // The type is the last field of the transaction's header.
        this.informs.push({ zxid: m.entry.zxid, type: new DataView(m.entry.bytes.buffer, m.entry.bytes.byteOffset).getInt32(28) });
    }
  }

  /** A request with this body; `sessionId` zero is nobody's. */
  request(op: number, body: Uint8Array, cxid = 1, sessionId: Long = Long.UZERO): void {
    this.send({ type: Packet.REQUEST, request: { sessionId, cxid, op, auth: [{ scheme: 'ip', id: '127.0.0.1' }], record: null, body } });
  }
}
