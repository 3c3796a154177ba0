import { Perms } from '../model/codes.ts';
import type { Acl, SnapshotHead } from '../model/records.ts';
import { isOpenList, OPEN_ACL, worldPerms } from './acl.ts';

/** The key that stands for world:anyone with all permissions without a table entry (PROTOCOL 16); only built-in znodes have it. */
export const OPEN_KEY = -1;

interface Entry {
  readonly key: number;
  /** Null for a key that a snapshot's znode had but its table did not: the log after the snapshot will give that znode a list. */
  readonly acl: readonly Acl[] | null;
  readonly text: string;
  readonly worldPerms: number;
  refs: number;
}

/** One spelling for equal lists. */
function spell(acl: readonly Acl[]): string {
  let text = '';
  for (const { perms, scheme, id } of acl) text += `${perms} ${scheme.length} ${scheme}${id.length} ${id}`;
  return text;
}

/**
 * Gives each distinct ACL a small number and counts the znodes that use it. Numbers grow and are never used again: a fuzzy snapshot may hold
 * znodes that refer to a list which came after its table was written.
 */
export class AclTable {
  #byKey = new Map<number, Entry>();
  #byText = new Map<string, Entry>();
  #next = 1;
  /** The entry of the list that nearly every znode has: world:anyone all. */
  #open: Entry | null = null;

  /** Number of lists in use. */
  get size(): number {
    return this.#byKey.size;
  }

  /** The key of `acl`, counting one use more. The list must not be changed afterwards. */
  acquire(acl: readonly Acl[]): number {
    const open = isOpenList(acl);
    let entry = open ? this.#open : null;
    if (entry === null) {
      const text = spell(acl);
      entry = this.#byText.get(text) ?? this.#insert(this.#next, acl, text);
      if (open) this.#open = entry;
    }
    entry.refs++;
    return entry.key;
  }

  /** Counts a use of a key that a snapshot's znode has, whether or not the table knows its list. */
  retain(key: number): void {
    if (key === OPEN_KEY) return;
    const entry = this.#byKey.get(key) ?? this.#insert(key, null, '');
    entry.refs++;
  }

  /** Gives up a use; a list without uses is dropped. */
  release(key: number): void {
    const entry = this.#byKey.get(key);
    if (entry === undefined || --entry.refs > 0) return;
    this.#drop(entry);
  }

  /** Enters a list of a snapshot's table, so far without uses. */
  load(key: number, acl: readonly Acl[]): void {
    const old = this.#byKey.get(key);
    if (old !== undefined) this.#drop(old);
    this.#insert(key, acl, spell(acl));
  }

  /** Drops what nobody uses: a snapshot's table may hold such lists. */
  dropUnused(): void {
    for (const entry of [...this.#byKey.values()]) if (entry.refs === 0) this.#drop(entry);
  }

  /** The list behind a key; undefined for a key whose list is not known (yet). */
  get(key: number): readonly Acl[] | undefined {
    if (key === OPEN_KEY) return OPEN_ACL;
    return this.#byKey.get(key)?.acl ?? undefined;
  }

  /** The permissions that anybody has under the list behind a key: the quick check before a real one. */
  worldPerms(key: number): number {
    if (key === OPEN_KEY) return Perms.ALL;
    if (this.#open !== null && this.#open.key === key) return Perms.ALL;
    return this.#byKey.get(key)?.worldPerms ?? 0;
  }

  /** Whether anybody may do anything. */
  isOpen(key: number): boolean {
    return (this.worldPerms(key) & Perms.ALL) === Perms.ALL;
  }

  /** The table for a snapshot. */
  entries(): SnapshotHead['acls'] {
    const out: { key: number; acl: readonly Acl[] }[] = [];
    for (const { key, acl } of this.#byKey.values()) if (acl !== null) out.push({ key, acl });
    return out;
  }

  #insert(key: number, acl: readonly Acl[] | null, text: string): Entry {
    const entry: Entry = { key, acl, text, worldPerms: acl === null ? 0 : worldPerms(acl), refs: 0 };
    this.#byKey.set(key, entry);
    if (acl !== null && !this.#byText.has(text)) this.#byText.set(text, entry);
    if (key >= this.#next) this.#next = key + 1;
    return entry;
  }

  #drop(entry: Entry): void {
    this.#byKey.delete(entry.key);
    if (this.#byText.get(entry.text) === entry) this.#byText.delete(entry.text);
    if (this.#open === entry) this.#open = null;
  }
}
