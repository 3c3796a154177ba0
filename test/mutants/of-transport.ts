import type { Mutant } from './mutant.ts';

const quorum = 'src/transport/tcp-quorum.ts';

/** Faults in what carries the messages. */
export const transportMutants: readonly Mutant[] = [
  {
    name: 'a packet in two pieces is lost',
    why: 'TCP cuts a stream anywhere',
    file: 'src/wire/quorum.ts',
    find: 'if (used < end) this.#hold(buf, used, end);',
    replace: 'if (used === 0) this.#hold(buf, used, end);',
    seeds: 10,
  },
  {
    name: 'the rest behind a packet in two pieces is lost',
    why: 'TCP cuts a stream anywhere',
    file: 'src/wire/quorum.ts',
    find: 'this.#heldEnd = end - used;',
    replace: 'this.#heldEnd = used > 0 ? 0 : end;',
    seeds: 10,
  },
  {
    name: 'messages from before the connection stands are lost',
    why: 'what is sent on a link that is still connecting leaves when it stands',
    file: quorum,
    find: `    this.#connected = true;
    this.#flush();`,
    replace: '    this.#connected = true;',
    seeds: 10,
  },
];
