import type Long from 'long';
import { EventType, type EventTypeCode, Op } from '../model/codes.ts';
import { compareZxid, ZXID_NONE, zxidEquals } from '../model/zxid.ts';
import type { WatchEvent, Watcher } from '../node/api.ts';
import { type EventSink, type Gate, type OneShotWatches, type PersistentWatch, typeName, type WatchRegistry } from '../node/watches.ts';
import type { Logger } from '../seams/logger.ts';
import { outer, parentOf } from '../tree/paths.ts';
import { WatchKind } from '../tree/watches.ts';
import { type AddWatchRequest, type SetWatchesRequest, type WatchKindRequest, WatchMode } from '../wire/client-requests.ts';
import type { Chroot } from './chroot.ts';
import { NO_ZXID } from './keeper.ts';
import { watchRequests } from './watch-lists.ts';

/** What a session's watches need of it. */
export interface WatchHost {
  readonly chroot: Chroot;
  readonly logger: Logger;
  /** The newest zxid that a reply has shown. */
  readonly lastZxid: Long;
  /** Sends a request if there is a connection. `done` gets the reply's zxid or an error; nothing when the connection ends before the reply. */
  ask(record: AddWatchRequest | WatchKindRequest | SetWatchesRequest, done: (answer: Long | Error) => void): void;
  /** The servers do not offer persistent watches. */
  unsupported(path: string, error: Error): void;
}

/** The persistent watches on one path. */
interface Persistent {
  readonly plain: Set<PersistentWatch>;
  readonly recursive: Set<PersistentWatch>;
}

/**
 * The watches of one session over the wire: which the server holds for this connection, and whom its events are for. Paths are the session's.
 *
 * A server of 3.8.0 keeps one mode per path and connection, and the last that asks wins (PROTOCOL 10). So there is at most one registration for a path, of the mode that covers all local
 * watches there: `recursive` if there is such a watch, else `persistent`; and while there is one, a read that wants a one-shot watch does not ask for it, for it would end the registration
 * and needs none of its own. A recursive registration gives no changes of children; they are made of the creations and deletions that it does give. A newer server may send them as well:
 * directly behind, so they are known.
 */
export class RemoteWatches implements WatchRegistry {
  readonly #host: WatchHost;
  #isConnected = false;
  #shots: OneShotWatches | null = null;
  /** Paths of one-shot watches that wait for the creation of the znode. */
  readonly #absent = new Set<string>();
  readonly #persistent = new Map<string, Persistent>();
  /** Modes that this connection's server has been asked for. */
  readonly #registered = new Map<string, 0 | 1>();
  /** Modes that it has taken: what it sends until then is sent by the mode before. */
  readonly #inForce = new Map<string, 0 | 1>();
  /** Reads under way that want a one-shot watch, by path. */
  readonly #reading = new Map<string, number>();
  /** The path whose watches are ended one by one, because the server has refused them. */
  #ending: string | null = null;
  /** The znode whose change of children the last event has told already. */
  #told: string | null = null;
  /** Up to here nothing was missed; null while nothing can have been. */
  #since: Long | null = null;
  /** Not all watches stand again: what comes until then is what one-shot watches have missed, told by the state that there is. */
  #isRestoring = false;
  /** Watches that may have missed events, because servers do not tell a persistent watch what happened while it was not connected. */
  readonly #missed = new Set<PersistentWatch>();

  constructor(host: WatchHost) {
    this.#host = host;
  }

  // ---- reads that want a one-shot watch ----

  /** Whether the server tells all that happens at the path anyhow, so that a read must not ask for a watch. */
  isRegistered(path: string): boolean {
    return this.#registered.has(path);
  }

  /** Such a read was sent. */
  reading(path: string): void {
    this.#reading.set(path, (this.#reading.get(path) ?? 0) + 1);
  }

  /** It was answered, and its watch is entered if it has one. `absent`: there is no such znode yet; null if the read has failed, which says nothing of the watches that there were. */
  hasRead(path: string, absent: boolean | null): void {
    const left = (this.#reading.get(path) ?? 1) - 1;
    if (left === 0) this.#reading.delete(path);
    else this.#reading.set(path, left);
    if (absent === false) this.#absent.delete(path);
    else if (absent && this.#shots?.data.has(path)) this.#absent.add(path);
    this.#adjust(path);
  }

  // ---- the registry ----

  addOneShot(shots: OneShotWatches, table: 'data' | 'child', path: string, callback: Watcher): void {
    this.#shots = shots;
    const at = outer(path);
    const callbacks = shots[table].get(at);
    if (callbacks === undefined) shots[table].set(at, [callback]);
    else if (!callbacks.includes(callback)) callbacks.push(callback);
  }

  removeOneShot(shots: OneShotWatches, table: 'data' | 'child', path: string): boolean {
    const at = outer(path);
    if (!shots[table].delete(at)) return false;
    if (table === 'data') this.#absent.delete(at);
    this.#adjust(at);
    return true;
  }

  removeOneShots(shots: OneShotWatches): void {
    shots.data.clear();
    shots.child.clear();
  }

  addPersistent(watch: PersistentWatch): void {
    const { path } = watch;
    let there = this.#persistent.get(path);
    if (there === undefined) this.#persistent.set(path, (there = { plain: new Set(), recursive: new Set() }));
    there[watch.recursive ? 'recursive' : 'plain'].add(watch);
    this.#adjust(path);
  }

  removePersistent(watch: PersistentWatch): void {
    const { path } = watch;
    const there = this.#persistent.get(path);
    if (there === undefined) return;
    there[watch.recursive ? 'recursive' : 'plain'].delete(watch);
    if (there.plain.size + there.recursive.size === 0) this.#persistent.delete(path);
    this.#missed.delete(watch);
    this.#adjust(path);
  }

  /** No gate is ever shut: there are no events without a connection. */
  open(_gate: Gate): void {}

  // ---- what the server holds ----

  /** The mode that covers all persistent watches on the path; undefined without any. */
  #wanted(path: string): 0 | 1 | undefined {
    const there = this.#persistent.get(path);
    if (there === undefined) return undefined;
    return there.recursive.size > 0 ? WatchMode.persistentRecursive : WatchMode.persistent;
  }

  /** Makes the registration on a path the one that is needed. */
  #adjust(path: string): void {
    if (!this.#isConnected || path === this.#ending) return;
    const registered = this.#registered.get(path);
    const wanted = this.#wanted(path);
    if (wanted === registered) return;
    if (wanted !== undefined) {
      this.#registered.set(path, wanted);
      this.#host.ask({ op: Op.addWatch, path: this.#host.chroot.toServer(path), mode: wanted }, (answer) => {
        if (answer instanceof Error) this.#refused(path, answer);
        else this.#inForce.set(path, wanted);
      });
    } else if (!this.#isNeeded(path)) {
      this.#registered.delete(path);
      this.#inForce.delete(path);
      // Whether the server had one does not matter.
      this.#host.ask({ op: Op.removeWatches, path: this.#host.chroot.toServer(path), kind: WatchKind.any }, () => {});
    }
  }

  /** Ends the watches on a path that the server does not register. */
  #refused(path: string, error: Error): void {
    this.#ending = path;
    this.#host.unsupported(path, error);
    this.#ending = null;
    this.#registered.delete(path);
    this.#inForce.delete(path);
  }

  /** Whether one-shot watches live on the registration of a path. */
  #isNeeded(path: string): boolean {
    return this.#reading.has(path) || (this.#shots?.data.has(path) ?? false) || (this.#shots?.child.has(path) ?? false);
  }

  /** The connection is over, and with it all that the server held. */
  lost(): void {
    if (!this.#isConnected) return;
    this.#isConnected = false;
    this.#isRestoring = false;
    this.#since ??= this.#host.lastZxid;
    for (const { plain, recursive } of this.#persistent.values()) for (const watch of [...plain, ...recursive]) this.#missed.add(watch);
    this.#registered.clear();
    this.#inForce.clear();
    this.#reading.clear();
  }

  /**
   * There is a connection again: asks the server for all watches. It tells one-shot watches at once what they have missed (PROTOCOL 10). Persistent ones get an `overflow` event, unless nothing
   * at all has happened meanwhile.
   */
  restore(): void {
    this.#isConnected = true;
    const since = this.#since ?? this.#host.lastZxid;
    for (const path of this.#persistent.keys()) this.#registered.set(path, this.#wanted(path)!);
    const asked = new Map(this.#registered);
    const requests = watchRequests(since, this.#lists(), asked, (path) => this.#host.chroot.toServer(path));
    // Only when all of it stands has nothing been missed: a connection that breaks before is made up for from the same point.
    let open = requests.length;
    this.#isRestoring = open > 0;
    if (open === 0) this.#since = null;
    for (const request of requests) {
      this.#host.ask(request, (answer) => {
        if (answer instanceof Error) this.#host.logger('error', 'the server refused to restore watches', { error: answer });
        else if (--open === 0) this.#restored(since, answer, asked);
      });
    }
  }

  #lists(): { data: string[]; exist: string[]; child: string[] } {
    const data: string[] = [];
    const exist: string[] = [];
    for (const path of this.#shots?.data.keys() ?? []) (this.#absent.has(path) ? exist : data).push(path);
    return { data, exist, child: [...(this.#shots?.child.keys() ?? [])] };
  }

  #restored(since: Long, zxid: Long, modes: ReadonlyMap<string, 0 | 1>): void {
    for (const [path, mode] of modes) if (this.#registered.has(path)) this.#inForce.set(path, mode);
    this.#since = null;
    this.#isRestoring = false;
    const missed = [...this.#missed];
    this.#missed.clear();
    if (compareZxid(zxid, since) <= 0) return;
    for (const { path, sink } of missed) this.#deliver(sink, { type: 'overflow', path, zxid });
  }

  // ---- events ----

  /** An event of the server's; `zxid` is -1 from servers that do not tell it. */
  event(type: number, serverPath: string, zxid: Long): void {
    const path = this.#host.chroot.toClient(serverPath);
    if (path === undefined || !isEventType(type)) return;
    const known = zxidEquals(zxid, NO_ZXID) ? ZXID_NONE : zxid;
    const told = this.#told;
    this.#told = null;
    if (type === EventType.nodeChildrenChanged && path === told) return;
    this.#fire({ type: typeName(type), path, zxid: known });
    if (path === '/' || (type !== EventType.nodeCreated && type !== EventType.nodeDeleted)) return;
    const parent = outer(parentOf(path));
    if (this.#inForce.get(parent) !== WatchMode.persistentRecursive) return;
    this.#told = parent;
    this.#fire({ type: 'childrenChanged', path: parent, zxid: known });
  }

  /** Something else came from the server. */
  noEvent(): void {
    this.#told = null;
  }

  #fire(event: WatchEvent): void {
    const sinks: EventSink[] = [];
    const out = (sink: EventSink): void => void sinks.push(sink);
    this.#shots?.fired(event, out);
    for (const watch of this.#staying(event)) {
      // To a watch that tells of every change it would be one that never was, or not all that there were.
      if (this.#isRestoring) this.#missed.add(watch);
      else watch.fired(event, out);
    }
    for (const sink of sinks) this.#deliver(sink, event);
    if (event.type !== 'childrenChanged') this.#absent.delete(event.path);
    // One-shot watches may have been the last to need the registration.
    this.#adjust(event.path);
  }

  /** The persistent watches that see an event. */
  *#staying({ type, path }: WatchEvent): Generator<PersistentWatch> {
    yield* this.#persistent.get(path)?.plain ?? [];
    if (type === 'childrenChanged') return;
    for (let at = path; ; at = outer(parentOf(at))) {
      yield* this.#persistent.get(at)?.recursive ?? [];
      if (at === '/') break;
    }
  }

  #deliver(sink: EventSink, event: WatchEvent): void {
    if (sink.ended) return;
    try {
      sink.deliver(event);
    } catch (error) {
      this.#host.logger('error', 'a watch callback threw', { type: event.type, path: event.path, error });
    }
  }
}

const isEventType = (type: number): type is EventTypeCode => type >= EventType.nodeCreated && type <= EventType.nodeChildrenChanged;
