import { Perms } from '../model/codes.ts';
import type { Acl, Id } from '../model/records.ts';
import { checkAcl, hideDigests } from '../tree/acl.ts';
import { inner } from '../tree/paths.ts';
import { digestId } from '../tree/sha1.ts';
import type { ZnodeTree } from '../tree/tree.ts';
import { ACL_KEY } from '../tree/znode-table.ts';
import { type Octets, octetsToText } from '../util/bytes.ts';

/** Identities that one requester may have, and how long they may be altogether. */
const MAX_IDENTITIES = 100;
const MAX_IDENTITY_CHARS = 10_000;

/** Who may read what: the checks of PROTOCOL 9 on the local tree. (Writes are checked by the leader.) */
export class Access {
  readonly #tree: () => ZnodeTree;
  readonly #skipAcl: boolean;
  readonly #superDigest: string | null;

  constructor(tree: () => ZnodeTree, skipAcl: boolean, superDigest: string | null) {
    this.#tree = tree;
    this.#skipAcl = skipAcl;
    this.#superDigest = superDigest;
  }

  /** Whether identities `ids` have a permission of `perm` on the znode; undefined when there is none. */
  permits(path: string, perm: number, ids: readonly Id[]): boolean | undefined {
    const slot = this.#tree().table.find(inner(path));
    return slot === 0 ? undefined : this.permitsSlot(slot, perm, ids);
  }

  /** The same for a row of the tree. */
  permitsSlot(slot: number, perm: number, ids: readonly Id[]): boolean {
    const tree = this.#tree();
    // What everybody may do needs no look at identities.
    if (this.#skipAcl || (tree.acls.worldPerms(tree.table.get(slot, ACL_KEY)) & perm) !== 0) return true;
    return checkAcl(tree.aclOf(slot), perm, ids, this.#superDigest);
  }

  /** The same for a list. */
  permitsBy(acl: readonly Acl[], perm: number, ids: readonly Id[]): boolean {
    return this.#skipAcl || checkAcl(acl, perm, ids, this.#superDigest);
  }

  /** The ACL of a row as `ids` may see it: without ADMIN permission the hashes of digest ids are hidden (PROTOCOL 7). */
  shownAcl(slot: number, ids: readonly Id[]): readonly Acl[] {
    const acl = this.#tree().aclOf(slot);
    return this.permitsSlot(slot, Perms.ADMIN, ids) ? acl : hideDigests(acl);
  }

  /**
   * `known` and the identities that the credential `user:password` proves; the same list when it proves nothing new. Null for more than anybody needs: they travel with every write to
   * the leader, and every check looks at all of them.
   */
  proven(credential: Octets, known: readonly Id[]): readonly Id[] | null {
    const id = digestId(octetsToText(credential));
    const proven: Id[] = [{ scheme: 'digest', id }];
    if (id === this.#superDigest) proven.unshift({ scheme: 'super', id: '' });
    const fresh = proven.filter((one) => !known.some((other) => other.scheme === one.scheme && other.id === one.id));
    // A new list: requests under way keep theirs.
    const all = fresh.length === 0 ? known : [...known, ...fresh];
    let chars = 0;
    for (const one of all) chars += one.id.length;
    return all.length > MAX_IDENTITIES || chars > MAX_IDENTITY_CHARS ? null : all;
  }
}

/** Identities as their owner is told of them: of a digest only the user's name (PROTOCOL 3.2, whoAmI). */
export const namesOf = (ids: readonly Id[]): Id[] =>
  ids.map((id) => (id.scheme === 'digest' ? { ...id, id: id.id.replace(/:.*/s, '') } : id));
