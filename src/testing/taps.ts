import type Long from 'long';
import type { SnapshotSource, Txn } from '../model/records.ts';
import { formatZxid } from '../model/zxid.ts';
import type { Role } from '../node/api.ts';
import type { Engine } from '../node/ensemble-node.ts';
import type { ReplicaHooks } from '../node/hooks.ts';
import type { Done, Recovered, RecoverySink, Storage, StorageOptions } from '../seams/storage.ts';
import type { OpenTransport, QuorumLink, QuorumLinkHandler, Transport, TransportHandler, TransportOptions } from '../seams/transport.ts';
import type { TxnResult, ZnodeTree } from '../tree/tree.ts';
import type { LogEntry } from '../zab/entry.ts';
import { type ElectionMessage, Packet, type QuorumMessage } from '../zab/messages.ts';
import { describeElection, describeMessage, describeTxn } from './describe.ts';
import type { Kernel } from './kernel.ts';
import type { Probe } from './probe.ts';
import type { SlowWalk } from './slow-walk.ts';

/**
 * Decides over a quorum message that is about to be handed to the network: false keeps it from leaving. `send` hands it over, as often as it is called and whenever: so a message can be held
 * back, overtaken or doubled. For scripted scenarios.
 */
export type SendFilter = (from: number, to: number, message: QuorumMessage, send: () => void) => boolean;

/**
 * The same for what is said in elections, which goes from mailbox to mailbox: the newest message to a server takes the place of one that waits. `send` may be given another message, as a server
 * that remembers something else would send it.
 */
export type VoteFilter = (from: number, to: number, message: ElectionMessage, send: (other?: ElectionMessage) => void) => boolean;

/** What the taps of one server need. */
export interface Tapped {
  readonly id: number;
  readonly kernel: Kernel;
  readonly probe: Probe;
  /** Every server of the ensemble by the name of its host. */
  readonly idOfHost: (host: string) => number;
  readonly filter: () => SendFilter | null;
  readonly voteFilter: () => VoteFilter | null;
}

const nameOf = (remote: string): string => remote.slice(0, remote.lastIndexOf(':'));

/** Numbers for the ends of links. */
class Ends {
  #last = 0;
  next(): number {
    return ++this.#last;
  }
}

// ---- transport ----

/** A transport that tells what its server sends and gets. */
export function tapTransport(inner: Transport, tapped: Tapped): Transport {
  return {
    open(options: TransportOptions, handler: TransportHandler, done) {
      const ends = new Ends();
      inner.open(options, tapHandler(handler, tapped, ends), (error, open) => {
        if (error !== null || open === undefined) done(error, undefined);
        else done(null, new TappedTransport(open, options, tapped, ends));
      });
    },
  };
}

function tapHandler(handler: TransportHandler, tapped: Tapped, ends: Ends): TransportHandler {
  const { id, kernel, probe } = tapped;
  return {
    incoming(link) {
      const outer = new TappedLink(tapped, tapped.idOfHost(nameOf(link.remote)), ends.next());
      outer.link = link;
      outer.handler = handler.incoming(outer);
      return outer;
    },
    election(from, message) {
      kernel.detail(id, () => `server ${from} ${describeElection(message)}`);
      handler.election(from, message);
    },
    electionLink(peer, up) {
      kernel.note(id, `election link to server ${peer} is ${up ? 'up' : 'down'}`);
      probe.did(id, up ? 'electionLinkUp' : 'electionLinkDown');
      handler.electionLink(peer, up);
    },
  };
}

class TappedTransport implements OpenTransport {
  constructor(
    readonly open: OpenTransport,
    readonly options: TransportOptions,
    readonly tapped: Tapped,
    readonly ends: Ends,
  ) {}

  sendElection(peer: number, message: ElectionMessage): void {
    const { id, voteFilter } = this.tapped;
    const send = (other = message): void => this.open.sendElection(peer, other);
    if (voteFilter()?.(id, peer, message, send) !== false) send();
  }
  electionLinkUp(peer: number): boolean {
    return this.open.electionLinkUp(peer);
  }
  reconnectElection(): void {
    this.open.reconnectElection();
  }
  dial(peer: number, handler: QuorumLinkHandler): QuorumLink {
    const outer = new TappedLink(this.tapped, peer, this.ends.next());
    outer.handler = handler;
    outer.link = this.open.dial(peer, outer);
    return outer;
  }
  close(done: () => void): void {
    this.open.close(done);
  }
}

class TappedLink implements QuorumLink, QuorumLinkHandler {
  link!: QuorumLink;
  handler!: QuorumLinkHandler;

  constructor(
    readonly tapped: Tapped,
    readonly peer: number,
    readonly end: number,
  ) {}

  get remote(): string {
    return this.link.remote;
  }
  get buffered(): number {
    return this.link.buffered;
  }
  send(message: QuorumMessage): void {
    const { id, filter } = this.tapped;
    const send = (): void => this.#send(message);
    if (filter()?.(id, this.peer, message, send) !== false) send();
  }
  #send(message: QuorumMessage): void {
    const { id, probe } = this.tapped;
    probe.sent(id, this.peer, this.end, message);
    this.link.send(message);
  }
  close(reason: string): void {
    this.link.close(reason);
  }
  messages(batch: readonly QuorumMessage[]): void {
    const { id, kernel, probe } = this.tapped;
    for (const message of batch) {
      if (message.type !== Packet.PING) kernel.detail(id, () => `gets ${describeMessage(message)} from server ${this.peer}`);
      probe.received(this.peer, id, this.end, message);
    }
    this.handler.messages(batch);
  }
  drained(): void {
    this.handler.drained();
  }
  closed(reason: string): void {
    const { id, kernel, probe } = this.tapped;
    kernel.note(id, `link with server ${this.peer} is gone: ${reason}`);
    probe.did(id, 'quorumLinkLost');
    if (reason.startsWith('bad input')) probe.did(id, 'badInput');
    this.handler.closed(reason);
  }
}

// ---- storage ----

/** A store that tells what it was given and what has become durable. */
export function tapStorage(inner: Storage, tapped: Tapped, walk: SlowWalk): Storage {
  return new TappedStorage(inner, tapped, walk);
}

class TappedStorage implements Storage {
  constructor(
    readonly inner: Storage,
    readonly tapped: Tapped,
    readonly walk: SlowWalk,
  ) {}

  get logBytesSinceSnapshot(): number {
    return this.inner.logBytesSinceSnapshot;
  }
  open(options: StorageOptions, done: Done): void {
    this.inner.open(options, done);
  }
  recover(sink: RecoverySink, done: (error: Error | null, found?: Recovered) => void): void {
    this.walk.end();
    this.inner.recover(sink, (error, found) => {
      if (found !== undefined) this.tapped.probe.recovered(this.tapped.id, found);
      done(error, found);
    });
  }
  append(entries: readonly LogEntry[], done: Done): void {
    const { id, probe } = this.tapped;
    probe.appending(id, entries);
    const last = entries.at(-1);
    this.inner.append(
      entries,
      this.#told(done, () => last !== undefined && probe.durable(id, last.zxid)),
    );
  }
  truncate(zxid: Long, done: Done): void {
    const { id, kernel, probe } = this.tapped;
    const told = (): void => {
      kernel.note(id, `log is cut after ${formatZxid(zxid)}`);
      probe.truncated(id, zxid);
    };
    this.walk.end();
    probe.truncating(id, zxid);
    this.inner.truncate(zxid, this.#told(done, told));
  }
  setAcceptedEpoch(epoch: number, done: Done): void {
    this.inner.setAcceptedEpoch(epoch, this.#epoch('accepted', epoch, done));
  }
  setCurrentEpoch(epoch: number, done: Done): void {
    this.inner.setCurrentEpoch(epoch, this.#epoch('current', epoch, done));
  }
  installSnapshot(source: SnapshotSource, done: Done): void {
    const { id, kernel, probe } = this.tapped;
    const { zxid } = source;
    const told = (): void => {
      kernel.note(id, `history is the snapshot ${formatZxid(zxid)} now`);
      probe.installed(id, zxid);
    };
    this.walk.end();
    probe.installing(id, zxid);
    this.inner.installSnapshot(source, this.#told(done, told));
  }
  saveSnapshot(source: SnapshotSource, done: Done): void {
    const { id, kernel, probe } = this.tapped;
    const { zxid } = source;
    const told = (): void => {
      kernel.note(id, 'snapshot written');
      probe.saved(id, zxid);
      probe.did(id, 'snapshotWritten');
    };
    this.walk.begin(source, (walked) => this.inner.saveSnapshot(walked, this.#told(done, told)), done);
  }
  readLog(after: Long, upTo: Long, maxBytes: number, sink: (entry: LogEntry) => boolean, done: Done): void {
    const { id, probe } = this.tapped;
    this.inner.readLog(after, upTo, maxBytes, sink, (error) => {
      probe.did(id, error === null ? 'logReadForLearner' : 'logNotReadForLearner');
      done(error);
    });
  }
  purge(keep: number, done: Done): void {
    this.inner.purge(keep, done);
  }
  close(done: () => void): void {
    this.walk.end();
    this.inner.close(done);
  }

  #epoch(which: 'accepted' | 'current', epoch: number, done: Done): Done {
    const { id, kernel, probe } = this.tapped;
    return this.#told(done, () => {
      kernel.note(id, `${which} epoch is ${epoch} on disk`);
      probe.epoch(id, which, epoch);
    });
  }

  #told(done: Done, tell: () => void): Done {
    return (error) => {
      if (error === null) tell();
      else this.tapped.kernel.note(this.tapped.id, `the store refuses: ${error.message}`);
      done(error);
    };
  }
}

// ---- the replica ----

/** Hooks that tell what a replica shows. `engine` gives the replica itself, which is made after its hooks. */
export function tapHooks(hooks: ReplicaHooks, tapped: Tapped, engine: () => Engine): ReplicaHooks {
  const { id, kernel, probe } = tapped;
  let hasServed = false;
  return {
    ...hooks,
    roleChanged(role: Role, leaderId: number | undefined, epoch: number) {
      kernel.note(id, `is ${role}${leaderId === undefined ? '' : `, leader ${leaderId}`}, epoch ${epoch}`);
      probe.role(id, role, leaderId, epoch);
      hooks.roleChanged(role, leaderId, epoch);
    },
    servingChanged(serving: boolean) {
      if (serving && !hasServed) probe.shown(id, engine().tree);
      hasServed ||= serving;
      probe.serving(id, serving);
      hooks.servingChanged(serving);
    },
    applied(txn: Txn, result: TxnResult | null) {
      kernel.detail(id, () => `applies ${describeTxn(txn)}`);
      probe.applied(id, txn, engine().tree);
      hooks.applied(txn, result);
    },
    treeReplaced(oldTree: ZnodeTree, newTree: ZnodeTree) {
      if (hasServed) probe.shown(id, newTree);
      hooks.treeReplaced(oldTree, newTree);
    },
  };
}
