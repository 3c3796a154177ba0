/** A seed that once found something. With every change of the code it is another run, but one of the same kind; what it found has a test of its own where it was a fault of the product. */
export interface Regression {
  readonly seed: number;
  readonly found: string;
}

export const regressions: readonly Regression[] = [
  { seed: 2, found: 'the history that checks rest on missed what a tree without a visible commit showed' },
  { seed: 26, found: 'a stop that ended after the last fault kept a server down' },
  { seed: 40, found: 'a session may be closed twice: by its client and by the leader, around a change of leaders' },
  { seed: 5241, found: 'a disk was wiped before it had forgotten anything' },
  { seed: 20365, found: 'entries behind a snapshot were not known to be committed' },
  { seed: 30049, found: 'what was appended while a store was read again behind a truncation was lost from the books' },
  { seed: 40380, found: 'the protocol’s time went back after a stall, so heartbeats stopped and sessions that lived were expired' },
  { seed: 60685, found: 'a disk was let loose that every quorum of a hierarchical ensemble needs' },
  { seed: 60410, found: 'a snapshot that a crash left in place without a word was unknown to the books' },
  { seed: 60196, found: 'a question for a session came to the leader long after whoever asked had given up' },
  { seed: 1795389966098, found: 'a client that gave up to go on with a session had put its expiry off all the same' },
  { seed: 1795390174243, found: 'what a node applies in the turn in which it is stopped was expected to be told' },
  { seed: 1795390808507, found: 'a disk that was slowed twice at a time stayed slow' },
  { seed: 1795390808760, found: 'a timer too short to move simulated time ran out without end' },
  { seed: 1795393290365, found: 'a power loss left what stood in the caller’s buffer by then, not what it had written' },
  { seed: 1795404025181, found: 'pings waited for room behind what other clients wrote, so sessions lost their connections' },
  { seed: 1795404025418, found: 'a watch whose event was kept from its session was expected to be told nothing later' },
  { seed: 1795404988381, found: 'what came through an old server after the end of its session was expected in its turn' },
  {
    seed: 1795410855815,
    found: 'the session of a client whose requests waited for room expired: only what came just now was taken for a sign of life',
  },
];
