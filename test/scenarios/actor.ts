import { ZXID_NONE } from '../../src/model/zxid.ts';
import type { QuorumLink } from '../../src/seams/transport.ts';
import { Machine } from '../../src/testing/machine.ts';
import type { Simulation } from '../../src/testing/simulation.ts';
import { tcpTransport } from '../../src/transport/tcp.ts';
import { Packet, PROTOCOL_VERSION, type QuorumMessage } from '../../src/zab/messages.ts';

/** Where the actor is in the network: a machine of its own, under which probes name it. */
export const ACTOR = 99;

/** A learner that the scenario plays itself, over a real link: what it has got, and the link to send on. */
export interface Actor {
  readonly got: readonly QuorumMessage[];
  readonly link: QuorumLink;
  /** Why the link has ended; null while it stands. */
  readonly ended: () => string | null;
}

/**
 * Connects to a leader as the participant `id`, which must be down, with a FOLLOWERINFO that has accepted nothing. What the leader asks is for the scenario to answer.
 */
export async function playFollower(sim: Simulation, id: number, leader: number): Promise<Actor> {
  const machine = new Machine(sim.kernel, ACTOR);
  machine.boot();
  const sockets = sim.network.attach(machine, 'actor');
  const got: QuorumMessage[] = [];
  let ended: string | null = null;
  let link: QuorumLink | undefined;
  const self = { ...sim.specs.find((spec) => spec.id === id)!, host: 'actor' };
  const options = {
    self,
    servers: sim.specs,
    clock: machine.clock,
    logger: () => {},
    election: 'fast',
    connectTimeout: 5000,
    maxPacket: 1 << 20,
  } as const;
  const refuses = { incoming: () => nobody, election: () => {}, electionLink: () => {} };
  tcpTransport({ sockets }).open(options, refuses, (error, open) => {
    if (error !== null || open === undefined) return sim.kernel.fail(error ?? new Error('the actor has no transport'));
    link = open.dial(leader, {
      messages: (batch) => void got.push(...batch),
      drained: () => {},
      closed: (reason) => void (ended = reason),
    });
    link.send({ type: Packet.FOLLOWERINFO, zxid: ZXID_NONE, serverId: id, protocolVersion: PROTOCOL_VERSION, configVersion: ZXID_NONE });
  });
  await sim.until(() => got.some((message) => message.type === Packet.LEADERINFO));
  return { got, link: link!, ended: () => ended };
}

const nobody = { messages: () => {}, drained: () => {}, closed: () => {} };
