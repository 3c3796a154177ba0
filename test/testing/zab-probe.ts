import Long from 'long';
import { Op } from '../../src/model/codes.ts';
import type { Txn, TxnBody } from '../../src/model/records.ts';
import { ZXID_NONE } from '../../src/model/zxid.ts';
import type { Probe } from '../../src/testing/probe.ts';
import { ZnodeTree } from '../../src/tree/tree.ts';
import { octetsFromText } from '../../src/util/bytes.ts';
import { JuteWriter } from '../../src/wire/jute.ts';
import { encodeTxn } from '../../src/wire/txn.ts';
import { LogEntry } from '../../src/zab/entry.ts';
import { Packet, type QuorumMessage } from '../../src/zab/messages.ts';
import type { Outbox, PersistOp } from '../../src/zab/outbox.ts';
import type { Cluster } from '../zab/cluster.ts';
import type { End, Sequence, Server } from '../zab/server.ts';

/*
 * Lets a probe look at the seeded ensemble of protocol cores, where a transaction is a number: here it becomes a real one, and each server's sequence a real tree.
 */

/** A transaction for a request's number: most write to the root, some open or close a session. */
function txnFor(zxid: Long, cxid: number): Txn {
  const header = (type: number, clientId: Long): Txn['header'] => ({ clientId, cxid, zxid, time: 1000 + cxid, type });
  const txn = (body: TxnBody, clientId = Long.UZERO): Txn => ({ header: header(body.type, clientId), body, digest: null });
  if (cxid % 7 === 0) return txn({ type: Op.createSession, timeout: 4000 + cxid }, Long.fromNumber(cxid, true));
  if (cxid % 7 === 3) return txn({ type: Op.closeSession, paths: [] }, Long.fromNumber(cxid - 10, true));
  return txn({ type: Op.setData, path: '/', data: octetsFromText(String(cxid)), version: cxid });
}

export function entryOf(txn: Txn): LogEntry {
  const writer = new JuteWriter();
  encodeTxn(writer, txn);
  return new LogEntry(txn.header.zxid, writer.buf.slice(0, writer.pos), txn);
}

class Adapter {
  readonly #real = new WeakMap<LogEntry, LogEntry>();
  readonly #trees = new WeakMap<Sequence, { tree: ZnodeTree; count: number }>();
  readonly #numbers = new WeakMap<End, number>();
  #lastNumber = 0;
  readonly #served = new Set<Server>();
  /** What each server's next disk events tell when they have happened. */
  readonly #told = new Map<Server, (() => void)[]>();

  constructor(
    readonly cluster: Cluster,
    readonly probe: Probe,
    readonly spoil: (out: Outbox, server: Server) => void,
  ) {
    for (const server of cluster.servers) this.#attach(server);
    const { watch } = cluster;
    const committed = watch.committed.bind(watch);
    watch.committed = (server, entry) => {
      this.#lookAtRole(server);
      probe.applied(server.id, this.#entry(entry).txn as Txn, this.#tree(server.tree));
      committed(server, entry);
    };
    const shown = watch.shown.bind(watch);
    watch.shown = (server) => {
      this.#serves(server);
      shown(server);
    };
    const send = cluster.send.bind(cluster);
    cluster.send = (end, message) => {
      this.#lookAtRole(end.server);
      probe.sent(end.server.id, end.other.server.id, this.#number(end), this.#message(message));
      send(end, message);
    };
    cluster.delivered = (end, message) => probe.received(end.other.server.id, end.server.id, this.#number(end), this.#message(message));
  }

  #attach(server: Server): void {
    const { probe } = this;
    let out = server.out;
    Object.defineProperty(server, 'out', {
      get: () => out,
      set: (value: Server['out']) => {
        out = value;
        this.spoil(out, server);
        const { persist } = out;
        persist.splice = () => {
          const ops = Array.prototype.splice.call(persist, 0, persist.length) as PersistOp[];
          for (const op of ops) this.#asked(server, op);
          return ops;
        };
      },
    });
    const start = server.start.bind(server);
    server.start = () => {
      probe.booted(server.id);
      this.#recovered(server);
      this.#told.set(server, []);
      start();
    };
    const crash = server.crash.bind(server);
    server.crash = () => {
      crash();
      this.#served.delete(server);
      probe.died(server.id);
    };
    const diskEvent = server.diskEvent.bind(server);
    server.diskEvent = () => {
      const [op] = server.ops;
      const tell = this.#told.get(server)?.shift();
      const run = () => {
        op.run();
        tell?.();
      };
      server.ops[0] = { ...op, run };
      diskEvent();
    };
  }

  #recovered(server: Server): void {
    const { last, base, acceptedEpoch, currentEpoch } = server.disk;
    this.probe.recovered(server.id, { lastZxid: last, snapshotZxid: base.zxid, acceptedEpoch, currentEpoch });
  }

  /** The driver carries out a write of the protocol. */
  #asked(server: Server, op: PersistOp): void {
    const { probe } = this;
    const { id } = server;
    const told = this.#told.get(server) as (() => void)[];
    this.#lookAtRole(server);
    switch (op.kind) {
      case 'append': {
        const entries = op.entries.map((entry) => this.#entry(entry));
        probe.appending(id, entries);
        return void told.push(() => probe.durable(id, entries[entries.length - 1].zxid));
      }
      case 'acceptedEpoch':
        return void told.push(() => probe.epoch(id, 'accepted', op.epoch));
      case 'currentEpoch':
        return void told.push(() => probe.epoch(id, 'current', op.epoch));
      case 'truncate':
        probe.truncating(id, op.zxid);
        told.push(() => probe.truncated(id, op.zxid));
        if (op.reload) told.push(() => this.#recovered(server));
        return;
      case 'installSnapshot': {
        const zxid = op.entries.at(-1)?.zxid ?? (server.loader as Sequence).zxid;
        probe.installing(id, zxid);
        told.push(() => probe.installed(id, zxid));
      }
    }
  }

  #serves(server: Server): void {
    const peer = server.peer!;
    if (peer.kind === 'looking') throw new Error('who looks for a leader does not serve');
    this.probe.role(server.id, peer.kind, peer.leaderId, peer.epoch);
    this.probe.shown(server.id, this.#tree(server.tree));
    this.probe.serving(server.id, true);
    this.#served.add(server);
  }

  /** The ensemble does not tell when a role ends; it is seen at the next event. */
  #lookAtRole(server: Server): void {
    if (server.peer?.serving === true || !this.#served.delete(server)) return;
    this.probe.role(server.id, 'looking', undefined, 0);
    this.probe.serving(server.id, false);
  }

  #entry(entry: LogEntry): LogEntry {
    let real = this.#real.get(entry);
    if (real === undefined) this.#real.set(entry, (real = entryOf(txnFor(entry.zxid, entry.txn as number))));
    return real;
  }

  #message(message: QuorumMessage): QuorumMessage {
    if (message.type === Packet.REQUEST) {
      const { clientId } = txnFor(ZXID_NONE, message.request.cxid).header;
      return { ...message, request: { ...message.request, sessionId: clientId } };
    }
    return 'entry' in message ? { ...message, entry: this.#entry(message.entry) } : message;
  }

  #tree(sequence: Sequence): ZnodeTree {
    let known = this.#trees.get(sequence);
    if (known === undefined) this.#trees.set(sequence, (known = { tree: new ZnodeTree({ digest: true }), count: 0 }));
    while (known.count < sequence.items.length) known.tree.apply(this.#entry(sequence.items[known.count++]).txn as Txn, false);
    return known.tree;
  }

  #number(end: End): number {
    let number = this.#numbers.get(end);
    if (number === undefined) this.#numbers.set(end, (number = ++this.#lastNumber));
    return number;
  }
}

/** From now on `probe` sees what the ensemble does. Before anybody of it has started. `spoil` may change what every new process's protocol asks for. */
export function lookAt(cluster: Cluster, probe: Probe, spoil: (out: Outbox, server: Server) => void = () => {}): void {
  new Adapter(cluster, probe, spoil);
}
