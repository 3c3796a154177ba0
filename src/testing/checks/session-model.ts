import type Long from 'long';
import { Op } from '../../model/codes.ts';
import type { TxnBody, TxnHeader } from '../../model/records.ts';
import { zxidEquals } from '../../model/zxid.ts';
import { LongMap } from '../../util/long-map.ts';
import { decodeTxn } from '../../wire/txn.ts';
import type { Proposal } from './proposal.ts';

/** Something that is there from the entry at depth `from` on and is gone with the one at depth `to`. */
interface Span {
  readonly from: number;
  to: number;
}

export interface SessionSpan extends Span {
  readonly id: Long;
  /** ms */
  readonly timeout: number;
}

export interface EphemeralSpan extends Span {
  readonly path: string;
  readonly owner: Long;
}

export const isThere = (span: Span, depth: number): boolean => span.from <= depth && depth < span.to;

/** Which sessions and ephemeral znodes there are after each entry of the history, read off the transactions alone. */
export class SessionModel {
  readonly sessions: SessionSpan[] = [];
  readonly ephemerals: EphemeralSpan[] = [];
  /** False when a transaction is not known: then nothing can be said. */
  complete = true;
  readonly #open = new LongMap<SessionSpan>();
  readonly #alive = new Map<string, EphemeralSpan>();
  #walk: Iterator<EphemeralSpan, undefined> = this.#alive.values();
  /** What each closeSession has removed, by depth. */
  readonly #removed = new Map<number, readonly EphemeralSpan[]>();

  /** Those ephemerals that are there after the last entry, one at each call, over and over. */
  nextEphemeral(): EphemeralSpan | undefined {
    let next = this.#walk.next();
    if (next.done) {
      this.#walk = this.#alive.values();
      next = this.#walk.next();
    }
    return next.value;
  }

  /** What the closeSession at this depth has removed. */
  removedAt(depth: number): readonly EphemeralSpan[] {
    return this.#removed.get(depth) ?? [];
  }

  add({ bytes, depth }: Proposal): void {
    if (bytes.length === 0) this.complete = false;
    if (!this.complete) return;
    const { header, body } = decodeTxn(bytes);
    if (body.type !== Op.multi) return this.#part(header, body, depth);
    if (body.txns.some((part) => part.type === Op.error)) return;
    for (const part of body.txns) this.#part(header, part, depth);
  }

  #part({ clientId }: TxnHeader, body: TxnBody, depth: number): void {
    switch (body.type) {
      case Op.createSession:
        this.#close(clientId, depth);
        this.#opened({ id: clientId, timeout: body.timeout, from: depth, to: Number.POSITIVE_INFINITY });
        return;
      case Op.closeSession:
        this.#close(clientId, depth);
        this.#removed.set(depth, this.#removeAll(clientId, depth));
        return;
      case Op.create:
      case Op.create2:
        if (body.ephemeral) this.#created({ path: body.path, owner: clientId, from: depth, to: Number.POSITIVE_INFINITY });
        return;
      case Op.delete:
      case Op.deleteContainer:
        this.#remove(body.path, depth);
        return;
    }
  }

  #opened(session: SessionSpan): void {
    this.sessions.push(session);
    this.#open.set(session.id, session);
  }

  #close(id: Long, depth: number): void {
    const session = this.#open.get(id);
    if (session === undefined) return;
    session.to = depth;
    this.#open.delete(id);
  }

  #created(ephemeral: EphemeralSpan): void {
    this.ephemerals.push(ephemeral);
    this.#alive.set(ephemeral.path, ephemeral);
  }

  #remove(path: string, depth: number): void {
    const ephemeral = this.#alive.get(path);
    if (ephemeral === undefined) return;
    ephemeral.to = depth;
    this.#alive.delete(path);
  }

  #removeAll(owner: Long, depth: number): EphemeralSpan[] {
    const all = [...this.#alive.values()].filter((ephemeral) => zxidEquals(ephemeral.owner, owner));
    for (const { path } of all) this.#remove(path, depth);
    return all;
  }
}
