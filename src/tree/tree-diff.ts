import { EventType, type EventTypeCode } from '../model/codes.ts';
import type { Stat } from '../model/records.ts';
import { zxidEquals } from '../model/zxid.ts';
import { inner, outer } from './paths.ts';
import type { ZnodeTree } from './tree.ts';

type Emit = (type: EventTypeCode, path: string) => void;

/**
 * The events that a persistent watcher on `path` must see when a replica's tree is replaced as a whole, by a snapshot of the leader: what differs, told as deletions (children first), then creations
 * and changes (parents first). A znode that was deleted and made again in between counts as both. As for watches, a recursive watcher hears nothing of changes of
 * children and the other kind nothing from below. Differences count, not order: the new tree may also be the older one, after a truncation.
 */
export function diffTrees(before: ZnodeTree, after: ZnodeTree, path: string, recursive: boolean, emit: Emit): void {
  if (recursive) {
    emitGone(before, after, path, emit);
    emitNew(before, after, path, emit);
    return;
  }
  const old = before.exists(path);
  const now = after.exists(path);
  if (old !== undefined && !isSame(old, now)) emit(EventType.nodeDeleted, path);
  if (now === undefined) return;
  const kept = isSame(now, old);
  if (!kept) emit(EventType.nodeCreated, path);
  else if (!zxidEquals(now.mzxid, (old as Stat).mzxid)) emit(EventType.nodeDataChanged, path);
  const pzxid = kept ? (old as Stat).pzxid : now.czxid;
  if (!zxidEquals(now.pzxid, pzxid)) emit(EventType.nodeChildrenChanged, path);
}

const isSame = (a: Stat, b: Stat | undefined): boolean => b !== undefined && zxidEquals(a.czxid, b.czxid);

function emitGone(before: ZnodeTree, after: ZnodeTree, path: string, emit: Emit): void {
  const { table } = before;
  const top = table.find(inner(path));
  const gone: string[] = [];
  for (let slot = top; slot !== 0; slot = table.following(slot, top)) {
    if (!isSame(before.stat(slot), after.exists(table.path(slot)))) gone.push(outer(table.path(slot)));
  }
  // A walk meets parents first; backwards it meets children first.
  for (let i = gone.length - 1; i >= 0; i--) emit(EventType.nodeDeleted, gone[i]);
}

function emitNew(before: ZnodeTree, after: ZnodeTree, path: string, emit: Emit): void {
  const { table } = after;
  const top = table.find(inner(path));
  for (let slot = top; slot !== 0; slot = table.following(slot, top)) {
    const now = after.stat(slot);
    const old = before.exists(table.path(slot));
    if (old === undefined || !isSame(now, old)) emit(EventType.nodeCreated, outer(table.path(slot)));
    else if (!zxidEquals(now.mzxid, old.mzxid)) emit(EventType.nodeDataChanged, outer(table.path(slot)));
  }
}
