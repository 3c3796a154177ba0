import type { Step } from './record.ts';

/* Where answers differ on purpose, each with its reason. What is not listed here must be equal. */

export interface Difference {
  /** The steps: their chapter, and what their command matches. */
  readonly chapter: string;
  readonly command: RegExp;
  /** Only with these clients. @default all */
  readonly clients?: readonly string[];
  /** What Apache's answer must match, and ours; or else {@link entries}. */
  readonly theirs?: RegExp;
  readonly ours?: RegExp;
  /** Texts in a list, such as events, that one of the two has: without them the answers must be equal. */
  readonly entries?: RegExp;
  readonly reason: string;
}

/** One client at Apache's servers and at ours. */
export const SERVER_DIFFERENCES: readonly Difference[] = [
  {
    chapter: 'too large',
    command: /^setData /,
    theirs: /"error":-4\b/,
    ours: /"error":-8\b/,
    reason: 'A request over jute.maxbuffer: Apache drops the connection without a word, ours answers BadArguments and goes on.',
  },
  {
    chapter: 'chroot',
    command: /^events /,
    clients: ['java'],
    entries: /^(?:children of the root (?:NodeChildrenChanged|ChildWatchRemoved)|recursive NodeChildrenChanged) \/$/,
    reason: 'A child watch and then a recursive one on the same path: 3.8.0 forgets the first, later versions and ours keep both.',
  },
  {
    chapter: 'transactions',
    command: /^multi .*\|5\|/,
    clients: ['node-zookeeper-client'],
    theirs: /"error":-5\b/,
    ours: /"error":-8\b/,
    reason: 'A TTL flag in a plain create of a multi: 3.8.0 fails to cast its own record, ours says BadArguments, as for a create alone.',
  },
];

/** Our client and the Java client, both at Apache's servers. */
export const CLIENT_DIFFERENCES: readonly Difference[] = [
  {
    chapter: 'too large',
    command: /^setData /,
    theirs: /"error":-4\b/,
    ours: /"error":-8\b/,
    reason: 'Ours does not send a request that no server would take: nothing is lost but the call.',
  },
  {
    chapter: 'names',
    command: /^(?:create|exists|setData|delete|multi) /,
    theirs: /"error":-8\b/,
    ours: /"error":-101\b/,
    reason:
      'The Java client refuses a bad path itself; ours leaves the rules to the server, which looks for the parent or the znode first.',
  },
  {
    chapter: 'errors',
    command: /^reconfig /,
    theirs: /"error":-123\b/,
    ours: /"unsupported"/,
    reason: 'Session has no reconfig.',
  },
  {
    chapter: 'persistent watches',
    command: /^events /,
    entries: /WatchRemoved /,
    reason: 'The Java client tells watchers that they have been removed; who removes them with ours knows.',
  },
  {
    chapter: 'removing watches',
    command: /^events /,
    entries: /WatchRemoved /,
    reason: 'The Java client tells watchers that they have been removed; who removes them with ours knows.',
  },
  {
    chapter: 'watches after reconnecting',
    command: /^events /,
    entries: / overflow /,
    reason: 'No server tells a persistent watch what it missed; ours says `overflow`, so that the watcher reads again.',
  },
  {
    chapter: 'chroot',
    command: /^(?:getEphemerals|multi) c /,
    theirs: /\$\/top\//,
    ours: /^(?!.*\$\/top\/)/,
    reason: 'The Java client leaves the chroot in these paths, ours takes it off.',
  },
  {
    chapter: 'chroot',
    command: /^events /,
    theirs: /./,
    ours: /"children of the root NodeChildrenChanged|"events":\[\]/,
    reason:
      'A child watch and then a recursive one on the same path: 3.8.0 forgets the first, and our client sets it again; and see above for removed ones.',
  },
];

export interface Comparison {
  readonly equal: number;
  readonly listed: readonly Difference[];
  /** One text for each difference that is not listed. */
  readonly unlisted: readonly string[];
}

/** Compares two plays of the same script step by step. */
export function compare(theirs: readonly Step[], ours: readonly Step[], differences: readonly Difference[], client: string): Comparison {
  const listed: Difference[] = [];
  const unlisted: string[] = [];
  let equal = 0;
  for (let i = 0; i < Math.max(theirs.length, ours.length); i++) {
    const [a, b] = [theirs[i], ours[i]];
    if (a?.answer === b?.answer) {
      equal++;
      continue;
    }
    const difference = a === undefined || b === undefined ? undefined : find(differences, client, a, b);
    if (difference !== undefined) listed.push(difference);
    else unlisted.push(`${(a ?? b).chapter}: ${(a ?? b).command}\n  theirs ${a?.answer}\n  ours   ${b?.answer}`);
  }
  return { equal, listed, unlisted };
}

function find(differences: readonly Difference[], client: string, theirs: Step, ours: Step): Difference | undefined {
  return differences.find(
    (d) =>
      d.chapter === theirs.chapter &&
      d.command.test(theirs.command) &&
      (d.clients?.includes(client) ?? true) &&
      (d.theirs?.test(theirs.answer) ?? true) &&
      (d.ours?.test(ours.answer) ?? true) &&
      (d.entries === undefined || without(theirs.answer, d.entries) === without(ours.answer, d.entries)),
  );
}

/** The answer without those texts in its lists. */
function without(answer: string, entries: RegExp): string {
  return JSON.stringify(JSON.parse(answer), (_, value) => (Array.isArray(value) ? value.filter((entry) => !entries.test(entry)) : value));
}

/** A play as another library's is compared with it: without the order of replies among events, which a library of promises can't show. */
export function asOtherClients(steps: readonly Step[]): Step[] {
  return steps.map((step) => ({
    ...step,
    answer: step.answer
      .replaceAll(/"= \w+",?/g, '')
      .replaceAll(',]', ']')
      // What libraries refuse themselves, ours among them, counts as what a server would have said.
      .replace('{"refused":"IllegalArgumentException"}', '{"error":-8}'),
  }));
}
