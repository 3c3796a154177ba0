import type Long from 'long';
import { describe, expect, it } from 'vitest';
import type { Acl, Id, MultiOp, SnapshotSource, WriteRequest } from '../../src/model/records.ts';
import { OPEN_ACL, READ_ACL } from '../../src/tree/acl.ts';
import { ZnodeTree } from '../../src/tree/tree.ts';
import { TreeLoader } from '../../src/tree/tree-loader.ts';
import { check, create, del, dump, Rig, SERVER, session, set, setAcl } from './support.ts';

/** Numbers that look random and come again with the same seed. */
function mulberry(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % bound;
  };
}

const alice: Id = { scheme: 'digest', id: 'alice:hash' };
const ACLS: readonly (readonly Acl[])[] = [
  OPEN_ACL,
  OPEN_ACL,
  OPEN_ACL,
  READ_ACL,
  [{ perms: 31, ...alice }],
  [{ perms: 31, scheme: 'auth', id: '' }],
  [
    { perms: 31, scheme: 'world', id: 'anyone' },
    { perms: 1, ...alice },
  ],
];

/** A client that does anything with few paths, so that names come and go and come again. */
class Monkey {
  readonly #random: (bound: number) => number;
  #sessions: number[] = [];
  #nextSession = 1;
  #acls = 0;

  constructor(random: (bound: number) => number) {
    this.#random = random;
  }

  #one<T>(items: readonly T[]): T {
    return items[this.#random(items.length)];
  }

  #path(): string {
    const depth = 1 + this.#random(3);
    return Array.from({ length: depth }, () => `/${this.#one(['a', 'b', 'c'])}`).join('');
  }

  #acl(): readonly Acl[] {
    // Now and then a list that nobody had before.
    if (this.#random(6) === 0) return [...OPEN_ACL, { perms: 31, scheme: 'digest', id: `u${this.#acls++}:x` }];
    return this.#one(ACLS);
  }

  #create(): MultiOp {
    const acl = this.#acl();
    const data = this.#random(4) === 0 ? null : (`d${this.#random(1000)}` as never);
    const path = this.#path();
    switch (this.#random(7)) {
      case 0:
        return create(path, { op: 19, flags: 4, acl, data });
      case 1:
        return create(path, { op: 21, flags: this.#one([5, 6]), ttl: 1 + this.#random(500), acl, data });
      default:
        return create(path, { op: this.#one([1, 15]), flags: this.#one([0, 0, 0, 1, 1, 2, 3]), acl, data });
    }
  }

  #op(): MultiOp {
    const version = this.#one([-1, -1, 0, 1]);
    switch (this.#random(8)) {
      case 0:
      case 1:
      case 2:
        return this.#create();
      case 3:
      case 4:
        return del(this.#path(), version);
      case 5:
        return check(this.#path(), version);
      default:
        return set(this.#path(), `v${this.#random(1000)}`, version);
    }
  }

  #record(rig: Rig): WriteRequest {
    switch (this.#random(14)) {
      case 0:
        return setAcl(this.#path(), this.#acl(), this.#one([-1, -1, 0]));
      case 1:
      case 2:
        return { op: 14, ops: Array.from({ length: 1 + this.#random(4) }, () => this.#op()) };
      case 3: {
        const path = this.#one(rig.tree.cleanupCandidates(rig.time).concat(this.#path()));
        return { op: 20, path };
      }
      case 4:
        return this.#quota();
      default:
        return this.#op();
    }
  }

  #quota(): WriteRequest {
    const parts = ['/zookeeper/quota/a', '/zookeeper/quota/a/zookeeper_limits', '/zookeeper/quota/a/zookeeper_stats'];
    const path = this.#one(parts);
    return this.#random(4) === 0 ? del(path) : create(path, { data: (path.endsWith('limits') ? 'count=5,bytes=-1' : '') as never });
  }

  step(rig: Rig): void {
    if (this.#sessions.length === 0 || this.#random(25) === 0) {
      const n = this.#nextSession++;
      this.#sessions.push(n);
      rig.propose({ op: -10, timeout: 4000 + n }, session(n));
      return;
    }
    const at = this.#random(this.#sessions.length);
    const id: Long = session(this.#sessions[at]);
    if (this.#random(25) === 0) {
      this.#sessions.splice(at, 1);
      rig.propose({ op: -11 }, id);
      return;
    }
    const record = this.#record(rig);
    rig.propose(record, record.op === 20 || path(record).startsWith('/zookeeper') ? SERVER : id, [alice]);
  }
}

const path = (record: WriteRequest): string => ('path' in record ? record.path : '');

/** A snapshot under way, taken slice by slice into a loader. */
class Copy {
  readonly source: SnapshotSource;
  readonly #loader: TreeLoader;
  done = false;

  constructor(readonly of: ZnodeTree) {
    this.source = of.openSnapshot();
    this.#loader = new TreeLoader({ digest: of.digestOn });
    this.#loader.begin(this.source.zxid, this.source.head);
  }

  slice(limit: number): void {
    const batch = this.source.next(limit);
    this.#loader.nodes(batch);
    if (batch.length > 0) return;
    this.#loader.end(this.source.digest());
    this.source.close();
    this.done = true;
  }

  get tree(): ZnodeTree {
    return this.#loader.tree as ZnodeTree;
  }
}

/** Distinct lists among the znodes: the table must hold just these. */
function listsInUse(tree: ZnodeTree): number {
  const lists = new Set<string>();
  for (const [at] of tree.walk('/')) {
    const slot = tree.table.find(at === '/' ? '' : at);
    if (tree.table.get(slot, 15) !== -1) lists.add(JSON.stringify(tree.aclOf(slot)));
  }
  return lists.size;
}

function play(seed: number, steps: number): void {
  const random = mulberry(seed);
  const rig = new Rig();
  const monkey = new Monkey(random);
  const copies: Copy[] = [];
  for (let i = 0; i < steps; i++) {
    monkey.step(rig);
    // Some stretches are pipelined deeply, some not at all.
    while (rig.outstanding > ((i >> 5) % 3) * 6) rig.commit(1);
    if (random(40) === 0) copies.push(new Copy(rig.tree));
    for (const copy of copies) if (!copy.done && random(3) === 0) copy.slice(1 + random(3));
  }
  rig.commit();
  const what = `seed ${seed}`;
  expect(rig.tree.digestMismatches, what).toBe(0);
  expect(rig.tree.recomputeDigest().equals(rig.tree.digest()), what).toBe(true);
  expect(rig.tree.acls.size, what).toBe(listsInUse(rig.tree));
  const expected = dump(rig.tree);
  for (const copy of copies) {
    while (!copy.done) copy.slice(100);
    for (const txn of rig.log) if (txn.header.zxid.compare(copy.source.zxid) > 0) copy.tree.apply(txn, false);
    expect(dump(copy.tree), what).toEqual(expected);
    expect(copy.tree.digestMismatches, what).toBe(0);
    expect(copy.tree.acls.size, what).toBe(listsInUse(copy.tree));
  }
  const fresh = new ZnodeTree({ digest: true });
  for (const txn of rig.log) fresh.apply(txn, false);
  expect(dump(fresh), what).toEqual(expected);
}

describe('any history', () => {
  it('gives one tree, by the log alone and over fuzzy snapshots (faults 2355, 3127, 3144, 3145, 3249)', () => {
    for (let seed = 1; seed <= 80; seed++) play(seed, 400);
  });

  it('is foreseen without digests as well', () => {
    const random = mulberry(77);
    const rig = new Rig({}, new ZnodeTree());
    const twin = new ZnodeTree({ digest: true });
    const monkey = new Monkey(random);
    for (let i = 0; i < 2000; i++) {
      monkey.step(rig);
      while (rig.outstanding > 10) rig.commit(1);
    }
    rig.commit();
    for (const txn of rig.log) {
      expect(txn.digest).toBeNull();
      twin.apply(txn, false);
    }
    expect({ ...(dump(twin) as object), digest: '' }).toEqual({ ...(dump(rig.tree) as object), digest: '' });
  });
});
