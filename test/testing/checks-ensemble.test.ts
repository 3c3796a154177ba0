import { describe, expect, it } from 'vitest';
import { Checks } from '../../src/testing/checks/all.ts';
import type { Violation } from '../../src/testing/probe.ts';
import type { LogEntry } from '../../src/zab/entry.ts';
import type { Outbox } from '../../src/zab/outbox.ts';
import { Cluster, type ClusterOptions } from '../zab/cluster.ts';
import { run } from '../zab/run.ts';
import type { Server } from '../zab/server.ts';
import { lookAt } from './zab-probe.ts';

/*
 * The checks over the seeded ensemble of protocol cores: crashes at every point of a write, partitions, silent cuts, pauses, learners that get DIFF, TRUNC and SNAP. All of it is
 * legal, so no rule may speak. With a fault in the protocol the right one must.
 */
const SEEDS = 40;

function checksOf(cluster: Cluster, report: (violation: Violation) => void): Checks {
  const { voters } = cluster.options;
  return new Checks(
    cluster.servers.map(({ id }) => ({ id, role: id <= voters ? 'participant' : 'observer' })),
    report,
  );
}

function violations(options: ClusterOptions): string[] {
  const found: string[] = [];
  const cluster = new Cluster(options);
  lookAt(
    cluster,
    checksOf(cluster, (violation) => found.push(`${violation.message}, seed ${options.seed}`)),
  );
  run(cluster);
  return found;
}

describe.each(['fast', 'basic'] as const)('no false alarm with the %s election', (algorithm) => {
  it.each([1, 2, 3, 4, 5])('and %i voters', (voters) => {
    for (let seed = 1; seed <= SEEDS; seed++)
      expect(violations({ seed: seed + voters * 7000, voters, observers: seed % 3, algorithm })).toEqual([]);
  });
});

interface Fault {
  /** Changes what the protocol of every process asks for. */
  readonly outbox?: (out: Outbox, server: Server) => void;
  readonly cluster?: (cluster: Cluster) => void;
}

/** How a crash spoils the disk of a server. */
const atCrash = (spoil: (server: Server) => void) => (cluster: Cluster) => {
  for (const server of cluster.servers) {
    const crash = server.crash.bind(server);
    server.crash = () => {
      crash();
      spoil(server);
    };
  }
};

/** The first rule that is broken, over some seeds. */
function firstBroken({ outbox, cluster: change }: Fault): Set<string> {
  const rules = new Set<string>();
  for (let seed = 1; seed <= 30; seed++) {
    const cluster = new Cluster({ seed, voters: 3, observers: seed % 2, algorithm: 'fast' });
    const report = (violation: Violation): void => {
      throw violation;
    };
    lookAt(cluster, checksOf(cluster, report), outbox);
    change?.(cluster);
    try {
      run(cluster);
    } catch (error) {
      if ('rule' in (error as Violation)) rules.add((error as Violation).rule);
    }
  }
  return rules;
}

it.each<[rule: string, fault: string, Fault]>([
  ['DurableBeforeAck', 'messages do not wait for the disk', { outbox: (out) => void (out.sendDurable = out.send) }],
  ['DurableBeforeAck', 'the current epoch is not written', { outbox: (out) => void (out.setCurrentEpoch = () => out.seq) }],
  ['NoGap', 'a TRUNC is not carried out', { outbox: (out) => void (out.truncate = () => {}) }],
  ['Leadership2', 'everybody is a quorum', { cluster: ({ servers }) => void (servers[0].config.quorum.isQuorum = () => true) }],
  ['DurableIsKept', 'a crash takes an entry from the disk', { cluster: atCrash(({ disk }) => void disk.log.pop()) }],
  ['EpochsNeverGoBack', 'a crash takes an epoch from the disk', { cluster: atCrash(({ disk }) => void (disk.currentEpoch = 0)) }],
  [
    'TimeNeverBack',
    'a commit is carried out twice',
    {
      outbox: (out, { world }) => {
        const commit = out.commit.bind(out);
        out.commit = (entry: LogEntry) => {
          commit(entry);
          if (world.dice.chance(0.02)) commit(entry);
        };
      },
    },
  ],
  [
    'NoGap',
    'a commit is left out',
    {
      outbox: (out, { world }) => {
        const commit = out.commit.bind(out);
        out.commit = (entry: LogEntry) => world.dice.chance(0.02) || commit(entry);
      },
    },
  ],
])('%s is reported when %s', (rule, _fault, fault) => {
  expect([...firstBroken(fault)]).toContain(rule);
});
