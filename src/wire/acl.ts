import type { Acl, Id } from '../model/records.ts';
import { JuteError, type JuteReader, type JuteWriter } from './jute.ts';

/** Writes a vector<ACL> (PROTOCOL 3); null is a null vector. */
export function writeAcls(w: JuteWriter, acls: readonly Acl[] | null): void {
  if (acls === null) return w.int(-1);
  w.int(acls.length);
  for (const acl of acls) {
    w.int(acl.perms);
    w.string(acl.scheme);
    w.string(acl.id);
  }
}

/** Reads a vector<ACL>; null for a null vector. A null scheme or id becomes "", which no check accepts. */
export function readAcls(r: JuteReader): Acl[] | null {
  return r.vector(readAcl);
}

/** Reads a vector<ACL> that may not be null. */
export function readAclsNotNull(r: JuteReader): Acl[] {
  const at = r.pos;
  const acls = readAcls(r);
  if (acls === null) throw new JuteError('null ACL list', at);
  return acls;
}

function readAcl(r: JuteReader): Acl {
  const perms = r.int();
  return { perms, scheme: r.string() ?? '', id: r.string() ?? '' };
}

/** Writes a vector<Id>. An empty list goes out as a null vector, as ZooKeeper's learners send it (PROTOCOL 12, authinfo). */
export function writeIds(w: JuteWriter, ids: readonly Id[]): void {
  if (ids.length === 0) return w.int(-1);
  w.int(ids.length);
  for (const id of ids) {
    w.string(id.scheme);
    w.string(id.id);
  }
}

/** Reads a vector<Id>; a null vector is an empty list. */
export function readIds(r: JuteReader): readonly Id[] {
  return r.vector(readId) ?? [];
}

function readId(r: JuteReader): Id {
  return { scheme: r.string() ?? '', id: r.string() ?? '' };
}
