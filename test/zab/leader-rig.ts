import { expect } from 'vitest';
import { ZXID_NONE } from '../../src/model/zxid.ts';
import { Leader } from '../../src/zab/leader.ts';
import { Packet, PROTOCOL_VERSION } from '../../src/zab/messages.ts';
import { FakeContext, FakeLink, type Shape, z } from './fake.ts';

/** A leader with the links of its learners; every helper is one message in. */
export class Ensemble {
  readonly ctx: FakeContext;
  readonly leader: Leader;
  readonly links = new Map<string, FakeLink>();

  constructor(shape: Shape = {}) {
    this.ctx = new FakeContext(shape);
    this.leader = new Leader(this.ctx);
    this.leader.start();
  }

  link(name: string): FakeLink {
    let link = this.links.get(name);
    if (link === undefined) {
      this.links.set(name, (link = new FakeLink(name)));
      this.leader.incoming(link);
    }
    return link;
  }
  info(name: string, serverId: number, acceptedEpoch = 0, observer = false): this {
    this.leader.message(this.link(name), {
      type: observer ? Packet.OBSERVERINFO : Packet.FOLLOWERINFO,
      zxid: z(acceptedEpoch, 0),
      serverId,
      protocolVersion: PROTOCOL_VERSION,
      configVersion: ZXID_NONE,
    });
    return this;
  }
  ackEpoch(name: string, zxid = ZXID_NONE, currentEpoch = 0): this {
    this.leader.message(this.link(name), { type: Packet.ACKEPOCH, zxid, currentEpoch });
    return this;
  }
  ack(name: string, zxid = z(this.leader.epoch, 0)): this {
    this.leader.message(this.link(name), { type: Packet.ACK, zxid });
    return this;
  }
  pong(name: string): this {
    this.leader.message(this.link(name), { type: Packet.PING, zxid: ZXID_NONE, touches: [] });
    return this;
  }
  disk(): this {
    this.leader.persisted(this.ctx.settleDisk());
    return this;
  }
  /** Joins a server up to NEWLEADER. */
  join(name: string, serverId: number, zxid = ZXID_NONE, currentEpoch = 0, observer = false): this {
    return this.info(name, serverId, 0, observer).ackEpoch(name, zxid, currentEpoch);
  }
  /** Leads with server 2 behind it over link `a`; the outbox is empty. */
  establish(): this {
    this.info('a', 2).disk().ackEpoch('a', this.ctx.history.lastLogged, 0).disk().ack('a');
    expect(this.leader.serving).toBe(true);
    this.ctx.effects();
    return this;
  }
  effects(): string[] {
    return this.ctx.effects();
  }
}
