import type Long from 'long';
import type { Request } from '../model/records.ts';
import type { LogEntry } from './entry.ts';
import type { ElectionMessage, QuorumMessage } from './messages.ts';

/** A quorum link as the protocol sees it: something to name in an effect, nothing to call. */
export type LinkToken = object;

export type PersistOp =
  | { readonly kind: 'append'; readonly entries: LogEntry[]; seq: number }
  | { readonly kind: 'truncate'; readonly zxid: Long; readonly reload: boolean; readonly seq: number }
  | { readonly kind: 'acceptedEpoch' | 'currentEpoch'; readonly epoch: number; readonly seq: number }
  | { readonly kind: 'installSnapshot'; readonly entries: readonly LogEntry[]; readonly seq: number };

/** What is rare: done in order, after the sends. */
export type Action =
  | { readonly kind: 'dial'; readonly peer: number }
  | { readonly kind: 'closeLink'; readonly link: LinkToken; readonly reason: string }
  | { readonly kind: 'election'; readonly peer: number; readonly message: ElectionMessage }
  | { readonly kind: 'reconnectElection' }
  | { readonly kind: 'streamSnapshot'; readonly link: LinkToken }
  | { readonly kind: 'readLog'; readonly link: LinkToken; readonly after: Long; readonly upTo: Long }
  | { readonly kind: 'synced'; readonly request: Request }
  | { readonly kind: 'revalidated'; readonly sessionId: Long; readonly valid: boolean }
  /** The configuration that this server knows has another text (see EnsembleConfig). */
  | { readonly kind: 'configChanged' }
  /** So have the members, or their addresses: all links end, and those that come next are made by the new ones. The peer is started again when that can be. */
  | { readonly kind: 'membersChanged' }
  | { readonly kind: 'log'; readonly level: 'info' | 'warn'; readonly text: string };

/** A message that may leave only when everything up to `seq` is durable. */
export interface DurableSend {
  readonly seq: number;
  readonly link: LinkToken;
  readonly message: QuorumMessage;
}

/**
 * What a step of the protocol wants done. Roles only write here; the driver drains it after the step. So the order 'durable before acknowledged' stands in
 * one place: every write to disk gets the next number, `sendDurable` is bound to the numbers given so far, and the driver reports numbers back when they are durable.
 */
export class Outbox {
  /** Number of the last write to disk that was asked for. */
  seq = 0;
  readonly persist: PersistOp[] = [];
  readonly sendLinks: LinkToken[] = [];
  readonly sendMessages: QuorumMessage[] = [];
  readonly durableSends: DurableSend[] = [];
  readonly committed: LogEntry[] = [];
  readonly actions: Action[] = [];

  /** Whether nothing is left to do. */
  get empty(): boolean {
    return (
      this.persist.length === 0 &&
      this.sendLinks.length === 0 &&
      this.durableSends.length === 0 &&
      this.committed.length === 0 &&
      this.actions.length === 0
    );
  }

  /** Drops everything: the server has failed. */
  clear(): void {
    for (const list of [this.persist, this.sendLinks, this.sendMessages, this.durableSends, this.committed, this.actions]) list.length = 0;
  }

  append(entry: LogEntry): number {
    const seq = ++this.seq;
    const last = this.persist.length === 0 ? undefined : this.persist[this.persist.length - 1];
    if (last !== undefined && last.kind === 'append') {
      last.entries.push(entry);
      last.seq = seq;
    } else {
      this.persist.push({ kind: 'append', entries: [entry], seq });
    }
    return seq;
  }

  /** `reload`: the tree has applied entries that go, so it must be read again from the disk; the link's next messages wait for that. */
  truncate(zxid: Long, reload: boolean): void {
    this.persist.push({ kind: 'truncate', zxid, reload, seq: ++this.seq });
  }

  setAcceptedEpoch(epoch: number): void {
    this.persist.push({ kind: 'acceptedEpoch', epoch, seq: ++this.seq });
  }

  setCurrentEpoch(epoch: number): number {
    this.persist.push({ kind: 'currentEpoch', epoch, seq: ++this.seq });
    return this.seq;
  }

  /** Makes the snapshot that was received last, with `entries` applied to it, the whole durable history. */
  installSnapshot(entries: readonly LogEntry[]): void {
    this.persist.push({ kind: 'installSnapshot', entries, seq: ++this.seq });
  }

  send(link: LinkToken, message: QuorumMessage): void {
    this.sendLinks.push(link);
    this.sendMessages.push(message);
  }

  /** Sends after every write asked for so far is durable; these messages keep their order among themselves. */
  sendDurable(link: LinkToken, message: QuorumMessage): void {
    this.durableSends.push({ seq: this.seq, link, message });
  }

  commit(entry: LogEntry): void {
    this.committed.push(entry);
  }

  act(action: Action): void {
    this.actions.push(action);
  }

  log(level: 'info' | 'warn', text: string): void {
    this.actions.push({ kind: 'log', level, text });
  }

  closeLink(link: LinkToken, reason: string): void {
    this.actions.push({ kind: 'closeLink', link, reason });
  }
}
