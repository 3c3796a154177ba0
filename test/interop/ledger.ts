import { expect } from 'vitest';
import type { Note } from './load.ts';

/** One znode as a server's client interface gives it (see dump.py). */
export interface DumpedZnode {
  readonly path: string;
  readonly data: string | null;
  readonly stat: Readonly<Record<string, string>>;
  readonly acl: readonly (readonly [perms: number, scheme: string, id: string])[];
}

/** What is known of one path: the last acknowledged write, and those after it of which nobody knows. */
interface Known {
  acked: { readonly tag: string | null; readonly zxid?: string } | undefined;
  readonly perhaps: Set<string | null>;
}

/** Keeps what clients were told, and holds the trees of the servers against it. */
export class Ledger {
  /** Acknowledgements so far. */
  acks = 0;
  readonly bad: string[] = [];
  readonly #paths = new Map<string, Known>();

  readonly take = (note: Note): void => {
    if (note.kind === 'bad') return void this.bad.push(note.what);
    const { kind, path, tag } = note;
    const known = this.#paths.get(path) ?? { acked: undefined, perhaps: new Set() };
    this.#paths.set(path, known);
    if (kind === 'try') known.perhaps.add(tag);
    else if (kind === 'no') known.perhaps.delete(tag);
    else {
      this.acks++;
      known.acked = note;
      known.perhaps.clear();
    }
  };

  /** Nothing that must never be was seen; nothing acknowledged is lost, and what is there was asked for. */
  verify(tree: ReadonlyMap<string, DumpedZnode>): void {
    expect(this.bad).toEqual([]);
    expect(this.acks).toBeGreaterThan(0);
    const wrong: string[] = [];
    for (const [path, { acked, perhaps }] of this.#paths) {
      const znode = tree.get(path);
      const tag = znode === undefined ? null : znode.data;
      const expected = acked === undefined ? null : acked.tag;
      if (tag !== expected) {
        if (!perhaps.has(tag)) wrong.push(`${path}: ${tag}, not ${expected} of ${acked?.zxid}, nor one of ${[...perhaps]}`);
      } else if (znode !== undefined && acked?.zxid !== undefined && znode.stat.mzxid !== acked.zxid) {
        wrong.push(`${path}: of ${znode.stat.mzxid}, not of ${acked.zxid}`);
      }
    }
    expect(wrong).toEqual([]);
  }
}
