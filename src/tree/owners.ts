import type Long from 'long';
import { LongMap } from '../util/long-map.ts';
import { longAt, OWNER, OwnerKind, ownerKind } from './row.ts';
import type { ZnodeTable } from './znode-table.ts';

/** Which znodes (by slot) belong to a session, are containers or have a TTL. */
export class Owners {
  readonly #ephemerals = new LongMap<Set<number>>();
  readonly containers = new Set<number>();
  readonly ttls = new Set<number>();

  /** Number of sessions that own znodes. */
  get sessionCount(): number {
    return this.#ephemerals.size;
  }

  of(session: Long): ReadonlySet<number> | undefined {
    return this.#ephemerals.get(session);
  }

  /** The ephemerals of each session that has any. */
  sets(): IterableIterator<ReadonlySet<number>> {
    return this.#ephemerals.values();
  }

  add(table: ZnodeTable, slot: number): void {
    switch (ownerKind(table.get(slot, OWNER), table.get(slot, OWNER + 1))) {
      case OwnerKind.session: {
        const session = longAt(table.page(slot), table.at(slot) + OWNER);
        const owned = this.#ephemerals.get(session);
        if (owned !== undefined) owned.add(slot);
        else this.#ephemerals.set(session, new Set([slot]));
        break;
      }
      case OwnerKind.container:
        this.containers.add(slot);
        break;
      case OwnerKind.ttl:
        this.ttls.add(slot);
        break;
    }
  }

  remove(table: ZnodeTable, slot: number): void {
    switch (ownerKind(table.get(slot, OWNER), table.get(slot, OWNER + 1))) {
      case OwnerKind.session: {
        const session = longAt(table.page(slot), table.at(slot) + OWNER);
        const owned = this.#ephemerals.get(session);
        if (owned?.delete(slot) && owned.size === 0) this.#ephemerals.delete(session);
        break;
      }
      case OwnerKind.container:
        this.containers.delete(slot);
        break;
      case OwnerKind.ttl:
        this.ttls.delete(slot);
        break;
    }
  }
}
