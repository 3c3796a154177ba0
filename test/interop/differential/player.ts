import Long from 'long';
import { Op } from '../../../src/model/codes.ts';
import { makeZxid } from '../../../src/model/zxid.ts';
import { sessionPassword } from '../../../src/node/session-id.ts';
import { type AnyRequest, bodyOf, ConnectionClosed, RawClient, type RawFrame, type RawReply } from '../raw.ts';
import type { AttachStep, CallsStep, ExpireStep, OpenStep, RefusedStep, Step } from './steps.ts';
import { type FrameView, type Plain, Viewer } from './view.ts';

/** The servers that a run is played on: one, or an ensemble. */
export interface Target {
  readonly name: string;
  readonly ports: readonly number[];
  /** The epoch of the zxids of this run. */
  readonly epoch: number;
}

/** What a step showed: the frames of the session that it was about, and what became of its connection. */
export interface Shown {
  readonly frames: readonly FrameView[];
  readonly outcome: Plain;
}

interface Slot {
  readonly client: RawClient;
  readonly server: number;
  /** Requests by xid: a reply does not say what it is the answer to. */
  readonly requests: Map<number, AnyRequest>;
  readonly generation: number;
}

/** ms: longer than any run, so that no session expires by itself. */
const LONG = 1_000_000;
/** The shortest timeout that the servers of these runs grant, ms. */
export const SHORT = 400;
/** Numbers of requests of the player's own. */
const FENCE_XID = 0x7fff0000;

/** Plays steps on one target, each to its end. */
export class Player {
  readonly target: Target;
  readonly view: Viewer;
  readonly #slots = new Map<number, Slot>();
  /** Sessions whose connection has gone. */
  readonly #left = new Map<number, Slot>();
  /** Server that the last step was played on. */
  #last = -1;
  #sessions = 0;

  constructor(target: Target) {
    this.target = target;
    this.view = new Viewer(target.epoch);
  }

  async play(step: Step): Promise<Shown> {
    switch (step.kind) {
      case 'calls':
        return this.#calls(step);
      case 'open':
        return this.#open(step);
      case 'drop':
        return this.#drop(step.slot);
      case 'attach':
        return this.#attach(step);
      case 'refused':
        return this.#refused(step);
      case 'close':
        return this.#close(step.slot);
      case 'expire':
        return this.#expire(step);
    }
  }

  /** What a session has been told of behind its last reply, for every session that has a connection; by slot. */
  async settle(): Promise<Plain> {
    const slots = [...this.#slots].sort(([a], [b]) => a - b);
    await Promise.all(slots.map(([, slot]) => this.#fence(slot)));
    return Object.fromEntries(slots.map(([at, slot]) => [at, this.#take(slot) as unknown as Plain]));
  }

  /** Ends every connection. */
  async end(): Promise<void> {
    await Promise.all([...this.#slots.values()].map(({ client }) => client.drop()));
  }

  client(slot: number): RawClient {
    return this.#at(slot).client;
  }

  #at(slot: number): Slot {
    const found = this.#slots.get(slot);
    if (found === undefined) throw new Error(`slot ${slot} has no connection`);
    return found;
  }

  // ---- steps ----

  async #calls({ slot: at, requests }: CallsStep): Promise<Shown> {
    const slot = this.#at(at);
    await this.#reach(slot);
    const replies = await Promise.all(requests.map((request) => this.#send(slot, this.#adapted(request))));
    const closed = replies.includes('closed');
    return { frames: this.#take(slot), outcome: closed ? 'closed' : null };
  }

  async #open({ slot: at, server }: OpenStep): Promise<Shown> {
    const client = await RawClient.connect(this.#port(server), { timeout: LONG });
    const generation = ++this.#sessions;
    this.view.name(client.sessionId, `session ${generation}`);
    this.#begin(at, { client, server: this.#index(server), requests: new Map(), generation });
    return { frames: [], outcome: { timeout: client.timeout } };
  }

  #begin(at: number, slot: Slot): void {
    this.#slots.set(at, slot);
    this.#left.delete(at);
    this.#last = slot.server;
  }

  async #drop(at: number): Promise<Shown> {
    const slot = this.#at(at);
    await this.#fence(slot);
    const frames = this.#take(slot);
    await slot.client.drop();
    this.#slots.delete(at);
    this.#left.set(at, slot);
    return { frames, outcome: null };
  }

  async #attach({ slot: at, server }: AttachStep): Promise<Shown> {
    const old = this.#slots.get(at);
    if (old !== undefined) await this.#fence(old);
    const frames = old === undefined ? [] : this.#take(old);
    const response = await this.#resume(at, server, LONG);
    // A server takes the old connection away if it is one of its own; elsewhere it stays until it is used.
    if (old !== undefined) await (old.server === this.#index(server) ? old.client.closed : old.client.drop());
    return { frames, outcome: response };
  }

  async #resume(at: number, server: number, timeout: number): Promise<Plain> {
    const old = this.#slots.get(at) ?? this.#left.get(at);
    if (old === undefined) throw new Error(`slot ${at} has no session`);
    const { sessionId, password } = old.client;
    await this.#catchUp(server);
    const client = await RawClient.dial(this.#port(server));
    const response = await client.hello({ timeout, sessionId, password });
    if (response === 'closed') return 'closed';
    const same = response.sessionId.equals(sessionId) && Buffer.from(response.password).equals(password);
    this.#begin(at, { ...old, client, server: this.#index(server), requests: new Map() });
    return { timeout: response.timeout, same };
  }

  async #refused({ slot: at, how }: RefusedStep): Promise<Shown> {
    const slot = this.#slots.get(at) ?? this.#left.get(at);
    if (slot === undefined) throw new Error(`slot ${at} has no session`);
    const other = await RawClient.dial(this.target.ports[slot.server]);
    const sessionId = how === 'unknown' ? slot.client.sessionId.add(0x10000000) : slot.client.sessionId;
    const response = await other.hello({
      sessionId,
      password: how === 'password' ? new Uint8Array(16).fill(1) : sessionPassword(sessionId),
      lastZxidSeen: how === 'ahead' ? makeZxid(this.target.epoch + 1, 0) : Long.UZERO,
    });
    await other.closed;
    if (response === 'closed') return { frames: [], outcome: 'closed' };
    const { timeout, readOnly } = response;
    return { frames: [], outcome: { timeout, readOnly, session: response.sessionId.toString(), password: [...response.password] } };
  }

  async #close(at: number): Promise<Shown> {
    const slot = this.#at(at);
    await this.#reach(slot);
    const reply = await this.#send(slot, { op: Op.closeSession });
    await slot.client.closed;
    const frames = this.#take(slot);
    this.#slots.delete(at);
    return { frames, outcome: reply === 'closed' ? 'closed' : null };
  }

  async #expire({ slot: at, witness, path }: ExpireStep): Promise<Shown> {
    const slot = this.#at(at);
    await this.#fence(slot);
    const frames = this.#take(slot);
    const waiting = this.#at(witness);
    await this.#fence(waiting);
    const response = await this.#resume(at, slot.server, SHORT);
    await this.#at(at).client.drop();
    this.#slots.delete(at);
    this.#left.delete(at);
    const isEnd = (frame: RawFrame) => frame.kind === 'event' && frame.path === path;
    await waiting.client.seen(`the end of the session with ${path}`, isEnd);
    this.#last = waiting.server;
    return { frames, outcome: response };
  }

  // ---- requests ----

  #send(slot: Slot, request: AnyRequest): Promise<RawReply | 'closed'> {
    const xid = request.op === Op.auth ? -4 : request.op === Op.ping ? -2 : slot.client.nextXid();
    slot.requests.set(xid, request);
    return slot.client.send(request.op, bodyOf(request), xid);
  }

  /** The zxids in a request, in this target's epoch. */
  #adapted(request: AnyRequest): AnyRequest {
    if (request.op !== Op.setWatches && request.op !== Op.setWatches2) return request;
    return { ...request, since: makeZxid(this.target.epoch, request.since.low) };
  }

  #port(server: number): number {
    return this.target.ports[this.#index(server)];
  }

  #index(server: number): number {
    return server % this.target.ports.length;
  }

  /** Makes sure that a session sees all that happened on other servers. */
  async #reach(slot: Slot): Promise<void> {
    if (this.#last !== slot.server) await this.#fence(slot);
    this.#last = slot.server;
  }

  /** The same for a server on which a session begins. */
  async #catchUp(server: number): Promise<void> {
    const at = this.#index(server);
    const there = [...this.#slots.values()].find((slot) => slot.server === at);
    if (this.#last !== at && there !== undefined) await this.#fence(there);
  }

  /** Everything committed until now is applied where the session is, and its events have come. */
  async #fence({ client }: Slot): Promise<void> {
    const reply = await client.send(Op.sync, bodyOf({ op: Op.sync, path: '/' }), FENCE_XID);
    if (reply === 'closed') throw new ConnectionClosed(`${this.target.name}: the connection has gone`);
  }

  /** The frames of a session that have not been looked at, without the player's own. */
  #take({ client, requests }: Slot): FrameView[] {
    const views: FrameView[] = [];
    // Events behind the last reply may come now or later: they belong to what is looked at next.
    const end = client.frames.findLastIndex((frame) => frame.kind === 'reply') + 1;
    for (const frame of client.frames.splice(0, end)) {
      if (frame.kind === 'event') views.push(this.view.event(frame));
      else if (frame.xid !== FENCE_XID) views.push(this.#reply(requests, frame));
    }
    return views;
  }

  #reply(requests: Map<number, AnyRequest>, reply: RawReply): FrameView {
    const request = requests.get(reply.xid);
    if (request === undefined) throw new Error(`${this.target.name}: a reply to ${reply.xid}, which was not asked`);
    // Pings and auths have one number for all.
    if (reply.xid > 0) requests.delete(reply.xid);
    return this.view.reply(request, reply);
  }
}
