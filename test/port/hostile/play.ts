import { Op } from '../../../src/model/codes.ts';
import { OPEN_ACL } from '../../../src/tree/acl.ts';
import { readMultiReadResults, readMultiResults } from '../../../src/wire/client-replies.ts';
import { JuteReader } from '../../../src/wire/jute.ts';
import { type AnyRequest, RawClient, type RawReply } from '../../interop/raw.ts';
import type { Case, Expected } from './cases.ts';

const NOBODYS_XID = 0x12345678;
const PING_XID = -2;
/** Cases that are sent at once. */
const BATCH = 50;
/** Operations behind which a connection may have watches. */
const WATCHING = new Set<number>([Op.exists, Op.getData, Op.getChildren, Op.getChildren2, Op.addWatch, Op.setWatches, Op.setWatches2]);

/** Sends hostile requests to one server, each to a tree that has just what the rules assume. */
export class Foe {
  /** Requests that were answered, one way or the other. */
  answered = 0;
  readonly #port: number;
  #client: RawClient | null = null;
  /** Whether the last request may have changed the tree. */
  #changed = true;

  constructor(port: number) {
    this.#port = port;
  }

  /** What the server answers to each. Cases that should change nothing are sent together, many at once. */
  async answers(cases: readonly Case[]): Promise<Expected[]> {
    const answers: Expected[] = [];
    for (let from = 0; from < cases.length; ) {
      const harmful = cases.findIndex((one, i) => i >= from && !isHarmless(one));
      const harmless = cases.slice(from, Math.min(harmful === -1 ? cases.length : harmful, from + BATCH));
      answers.push(...(harmless.length === 0 ? [await this.answer(cases[from])] : await this.#together(harmless)));
      from = answers.length;
    }
    return answers;
  }

  async #together(cases: readonly Case[]): Promise<Expected[]> {
    const client = await this.#prepared();
    const replies = await Promise.all(cases.map((one) => this.#sent(client, one)));
    client.frames.length = 0;
    if (!replies.includes('closed')) {
      this.#changed = replies.some((reply) => reply !== 'closed' && reply.err === 0);
      return replies.map((reply, i) => (reply === 'closed' ? reply : shown(cases[i].op, reply)));
    }
    // One of them ended it for all: who it was shows when each is sent by itself.
    this.#client = null;
    const answers: Expected[] = [];
    for (const one of cases) answers.push(await this.answer(one));
    return answers;
  }

  /** A server knows a ping by its operation, and a client its answer by the number. */
  async #sent(client: RawClient, { op, body, xid = NOBODYS_XID }: Case): Promise<RawReply | 'closed'> {
    const reply = await client.send(op, body, xid, op === Op.ping ? PING_XID : xid);
    this.answered++;
    return reply;
  }

  /** What the server answers. */
  async answer(one: Case): Promise<Expected> {
    const { op } = one;
    const client = await this.#prepared();
    const reply = await this.#sent(client, one);
    if (reply === 'closed') {
      this.#client = null;
      return 'closed';
    }
    // Who is still there answers the next request too.
    const next = await client.ping();
    client.frames.length = 0;
    this.#changed = reply.err === 0;
    if (next === 'closed') {
      this.#client = null;
      return { closedAfter: reply.err };
    }
    if (WATCHING.has(op)) await this.#withoutWatches(client);
    return shown(op, reply);
  }

  /** A connection, with `/h/t` new, without data or children, and nothing at `/h/c`. */
  async #prepared(): Promise<RawClient> {
    this.#client ??= await RawClient.connect(this.#port, { timeout: 600_000 });
    const client = this.#client;
    if (!this.#changed) return client;
    const create = { op: Op.create, data: null, acl: OPEN_ACL, flags: 0, ttl: 0 } as const;
    const requests: AnyRequest[] = [
      { ...create, path: '/h' },
      { op: Op.delete, path: '/h/t', version: -1 },
      { op: Op.delete, path: '/h/c', version: -1 },
      { ...create, path: '/h/t' },
    ];
    await Promise.all(requests.map((request) => client.call(request)));
    client.frames.length = 0;
    this.#changed = false;
    return client;
  }

  /** The session goes on over a new connection, for watches go with the old one. */
  async #withoutWatches({ sessionId, password }: RawClient): Promise<void> {
    await this.#client?.drop();
    this.#client = await RawClient.connect(this.#port, { timeout: 600_000, sessionId, password });
  }

  async end(): Promise<void> {
    await this.#client?.send(Op.closeSession, new Uint8Array(0));
    await this.#client?.drop();
    this.#client = null;
  }
}

/** Whether the right answer is an error, and the connection is as it was behind it. */
const isHarmless = ({ op, expected }: Case): boolean => typeof expected === 'number' && expected < 0 && !WATCHING.has(op);

function shown(op: number, { err, body }: RawReply): Expected {
  if (err !== 0) return err;
  const r = new JuteReader(body);
  if (op === Op.multi) return readMultiResults(r).map((part) => part.err);
  if (op === Op.multiRead) return readMultiReadResults(r).map((part) => (part.type === -1 ? part.err : 0));
  return err;
}
