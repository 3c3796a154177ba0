interface Server {
  readonly kind: 'apache' | 'ours';
  fourLetter(word: string): Promise<string>;
  log(): string;
}

/**
 * A follower of Apache's 3.8.0 that joins a leader of its own kind while writes go on may get a COMMIT before UPTODATE, and breaks off (fault 4394; our leader holds such COMMITs back). It then reads its log again, in which
 * entries now stand twice and out of order, and on the way sees trees that nobody ever had.
 */
const FAULT_4394 = /NullPointerException.*\n\tat org\.apache\.zookeeper\.server\.quorum\.Learner\.syncWithLeader/;

/** Digests that a server has found wrong, but for those that Apache's fault 4394 explains; what its tree has come to is for others to compare. */
export async function digestMismatches(server: Server): Promise<number> {
  const counted = Number(/^zk_digest_mismatches_count\t(\d+)$/m.exec(await server.fourLetter('mntr'))?.[1]);
  if (server.kind === 'ours') return counted;
  const log = server.log();
  if (FAULT_4394.test(log)) return 0;
  // The counter begins anew with every process, the log does not.
  return Math.max(counted, log.match(/Digests are not matching/g)?.length ?? 0);
}
