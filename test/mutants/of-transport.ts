import type { Mutant } from './mutant.ts';

const election = 'src/transport/tcp-election.ts';
const quorum = 'src/transport/tcp-quorum.ts';

/** Faults in what carries the messages. */
export const transportMutants: readonly Mutant[] = [
  {
    name: 'a packet in two pieces is lost',
    why: 'TCP cuts a stream anywhere',
    file: 'src/wire/quorum.ts',
    find: 'if (used < end) this.#hold(buf, used, end);',
    replace: 'if (used === 0) this.#hold(buf, used, end);',
    seeds: 60,
  },
  {
    name: 'the rest behind a packet in two pieces is lost',
    why: 'TCP cuts a stream anywhere',
    file: 'src/wire/quorum.ts',
    find: 'this.#heldEnd = end - used;',
    replace: 'this.#heldEnd = used > 0 ? 0 : end;',
    seeds: 60,
  },
  {
    name: 'a write begins before the last has been taken',
    why: 'two buffers change places; the one that is being written must stand still',
    file: quorum,
    find: 'if (this.#closed || this.#inFlight > 0 || out.pos === 0) return;',
    replace: 'if (this.#closed || out.pos === 0) return;',
    seeds: 60,
  },
  {
    name: 'messages from before the connection stands are lost',
    why: 'what is sent on a link that is still connecting leaves when it stands',
    file: quorum,
    find: `    this.#connected = true;
    this.#flush();`,
    replace: '    this.#connected = true;',
    seeds: 60,
  },
  {
    name: 'a replaced election link still delivers',
    why: 'what comes over an old link is old',
    file: election,
    find: '    if (peer.link !== connection) return;\n    // It talks',
    replace: '    // It talks',
    seeds: 60,
  },
  {
    name: 'an old vote keeps a newer one from leaving',
    why: 'the newest message wins',
    file: election,
    find: '    peer.waiting = message;\n',
    replace: '    peer.waiting ??= message;\n',
    seeds: 60,
  },
  {
    name: 'a new election link is silent',
    why: 'the last vote is sent again when a link comes up',
    file: election,
    find: '    peer.waiting ??= peer.last;\n',
    replace: '',
    seeds: 60,
  },
  {
    name: 'a lost election link is not told',
    why: 'the vote of a server whose link went down is dropped (fault 3109)',
    file: election,
    find: `    this.#drop(peer, reason);
    this.#retryLater(peer);`,
    replace: `    peer.link = null;
    this.#retryLater(peer);`,
    seeds: 60,
  },
  {
    name: 'a broken link is not made again',
    why: 'a link that somebody wants is made again',
    file: election,
    find: `    this.#drop(peer, reason);
    this.#retryLater(peer);`,
    replace: '    this.#drop(peer, reason);',
    seeds: 60,
  },
];
