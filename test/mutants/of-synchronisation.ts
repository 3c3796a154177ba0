import type { Mutant } from './mutant.ts';

const leader = 'src/zab/leader.ts';
const learner = 'src/zab/learner.ts';
const plan = 'src/zab/sync-plan.ts';

/** Faults in how a learner gets the leader's history. */
export const synchronisationMutants: readonly Mutant[] = [
  {
    name: 'DIFF in the place of TRUNC',
    why: 'what nobody committed must go from the learner’s log (fault 1154)',
    file: plan,
    find: ": { kind: 'trunc', upTo };",
    replace: ": { kind: 'diff', upTo };",
    seeds: 15,
  },
  {
    name: 'DIFF to a learner with a tail of its own',
    why: 'DIFF only if the learner’s last entry is in the leader’s history (fault 1154)',
    file: plan,
    find: "if (history.knows(peer)) return { kind: 'diff', upTo };",
    replace: "if (compareZxid(peer, history.oldestKnown) >= 0) return { kind: 'diff', upTo };",
    seeds: 20,
  },
  {
    name: 'TRUNC is not carried out',
    why: 'what nobody committed must go from the log (fault 1154)',
    file: learner,
    find: '    out.truncate(zxid, reload);\n',
    replace: '',
    seeds: 15,
  },
  {
    name: 'TRUNC leaves the tree as it is',
    why: 'after a restart the tree has the whole log, so it is read again (fault 5094)',
    file: 'src/node/persistence.ts',
    find: 'if (error === null) this.state.incoming = sink.tree;',
    replace: '',
    seeds: 55,
  },
  {
    name: 'TRUNC to an unknown point is tried again for ever',
    why: 'a learner that can’t cut asks for a snapshot',
    file: learner,
    find: '      history.wantsSnapshot = true;\n',
    replace: '',
    seeds: 30,
  },
  {
    name: 'DIFF ends at the commit line of a new leader',
    why: 'all of a new leader’s log is its history, committed or not',
    file: leader,
    find: "const upTo = this.#phase === 'broadcast' ? history.lastCommitted : history.lastLogged;",
    replace: 'const upTo = history.lastCommitted;',
    seeds: 10,
  },
  {
    name: 'DIFF commits what is only proposed',
    why: 'a leader that broadcasts synchronises to its commit line',
    file: leader,
    find: "const upTo = this.#phase === 'broadcast' ? history.lastCommitted : history.lastLogged;",
    replace: 'const upTo = history.lastLogged;',
    seeds: 20,
  },
  {
    name: 'a late learner misses the waiting proposals',
    why: 'what is outstanding when a learner joins is sent to it as well',
    file: leader,
    find: '    for (const { entry } of this.#outstanding) handle.forward({ type: Packet.PROPOSAL, entry });\n',
    replace: '',
    seeds: 10,
  },
  {
    name: 'SNAP without the tail of a new leader',
    why: 'the snapshot ends at the commit line, the new leader’s history does not',
    file: leader,
    find: `    for (const entry of history.tail) {
      handle.forward({ type: Packet.PROPOSAL, entry });
      handle.forward({ type: Packet.COMMIT, zxid: entry.zxid });
    }`,
    replace: '',
    seeds: 30,
  },
  {
    name: 'NEWLEADER before what waited for the snapshot',
    why: 'what comes before NEWLEADER is acknowledged with it (fault 3104)',
    file: leader,
    find: `    handle.release();
    this.#newLeader(handle);
  }

  /** Those`,
    replace: `    this.#newLeader(handle);
    handle.release();
  }

  /** Those`,
    seeds: 30,
  },
  {
    name: 'proposals in the middle of a snapshot',
    why: 'what comes while a snapshot is streamed waits for its end',
    file: leader,
    find: `    out.act({ kind: 'streamSnapshot', link: handle.link });
    handle.hold();`,
    replace: "    out.act({ kind: 'streamSnapshot', link: handle.link });",
    seeds: 30,
  },
  {
    name: 'a snapshot takes effect before NEWLEADER',
    why: 'a commit may rest on what it would replace (fault 3642)',
    file: learner,
    find: 'this.#received = { zxid: this.#commitLine, last: this.#commitLine, entries: [] };',
    replace: 'this.#adopt({ zxid: this.#commitLine, last: this.#commitLine, entries: [] });',
    seeds: 25,
  },
  {
    name: 'a snapshot is sent under a later zxid',
    why: 'the snapshot is the tree at the commit line',
    file: leader,
    find: '{ type: Packet.SNAP, zxid: history.lastCommitted }',
    replace: '{ type: Packet.SNAP, zxid: history.lastLogged }',
    seeds: 10,
  },
  {
    name: 'commits behind a snapshot are lost',
    why: 'what is committed behind the snapshot belongs to the state that is installed',
    file: 'src/node/replica-state.ts',
    find: '    for (const entry of entries) this.incoming.apply(txnOf(entry), false);\n',
    replace: '',
    seeds: 30,
  },
];
