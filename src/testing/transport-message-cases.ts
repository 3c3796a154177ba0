import type { QuorumMessage } from '../zab/messages.ts';
import { Packet } from '../zab/messages.ts';
import { same } from './conformance.ts';
import { sampleEntry } from './storage-kit.ts';
import type { TransportBench, TransportCases } from './transport-bench.ts';
import type { LinkLog } from './transport-kit.ts';
import {
  ack,
  acks,
  counters,
  countShown,
  fromLeader,
  fromLearner,
  rawRequest,
  requestsWithRecord,
  shown,
  snapshotStream,
} from './transport-samples.ts';

/** Sends all at once and waits until it has come, unchanged, behind what came before. */
async function carries(bench: TransportBench, from: LinkLog, to: LinkLog, messages: readonly QuorumMessage[]): Promise<void> {
  const before = countShown(to.got);
  const sent = shown(messages);
  from.send(...messages);
  await bench.until(() => countShown(to.got) >= before + sent.length, `${messages.length} messages have come`);
  await bench.turn();
  const came = shown(to.got).slice(before);
  same(came.length, sent.length, 'messages');
  for (const [i, line] of came.entries()) same(line, sent[i], `message ${i}`);
}

/** The messages of the quorum protocol. The one that dials is the learner. */
export const MESSAGE_CASES: TransportCases = {
  async 'every packet of a learner arrives as it was sent'(bench) {
    const [a, b] = await bench.pair();
    const [learner, leader] = await bench.link(a, b);
    await carries(bench, learner, leader, fromLearner());
    for (const message of fromLearner()) await carries(bench, learner, leader, [message]);
  },

  async 'every packet of a leader arrives as it was sent'(bench) {
    const [a, b] = await bench.pair();
    const [learner, leader] = await bench.link(a, b);
    await carries(bench, leader, learner, fromLeader());
    for (const message of fromLeader()) await carries(bench, leader, learner, [message]);
  },

  async 'requests of the own process arrive, with a record or a body'(bench) {
    const [a, b] = await bench.pair();
    const [learner, leader] = await bench.link(a, b);
    await carries(bench, learner, leader, requestsWithRecord());
  },

  async 'snapshots of any size arrive, with packets before and behind'(bench) {
    const [a, b] = await bench.pair();
    const [learner, leader] = await bench.link(a, b);
    await carries(bench, leader, learner, [ack(1), ...snapshotStream(1, 0, 0)]);
    await carries(bench, leader, learner, [...snapshotStream(2, 1, 0), ...fromLeader()]);
    await carries(bench, leader, learner, snapshotStream(3, 3000, 50));
    await carries(bench, leader, learner, [...snapshotStream(4, 5, 300_000), ...fromLeader()]);
  },

  async 'a snapshot sent in many turns arrives, while another link goes on'(bench) {
    const [a, b] = await bench.pair();
    const [learner, leader] = await bench.link(a, b);
    const [other, otherLeader] = await bench.link(a, b);
    const stream = snapshotStream(1, 400, 20);
    for (const [i, message] of stream.entries()) {
      leader.send(message);
      other.send(ack(i + 1));
      await bench.turn();
    }
    await bench.until(() => learner.got.at(-1)?.type === Packet.NEWLEADER, 'the end of the snapshot has come');
    same(shown(learner.got).join('\n'), shown(stream).join('\n'), 'the snapshot');
    await bench.until(() => otherLeader.got.length === stream.length, 'the other link has carried all');
  },

  async 'a leader may send far more than a learner'(bench) {
    const [a, b] = await bench.pair({ maxPacket: 100_000 });
    const [learner, leader] = await bench.link(a, b);
    const large: QuorumMessage = { type: Packet.PROPOSAL, entry: sampleEntry(1, 2, 'large', 3_000_000) };
    await carries(bench, leader, learner, [{ type: Packet.COMMIT, zxid: sampleEntry(1, 1).zxid }, large, ...fromLeader()]);
  },

  async 'a packet that is too large for a learner closes its link, and no other'(bench) {
    const maxPacket = 100_000;
    const [a, b] = await bench.pair({ maxPacket });
    const [learner, leader] = await bench.link(a, b);
    const [other, otherLeader] = await bench.link(a, b);
    // A request has 16 bytes of its own before the body.
    await carries(bench, learner, leader, [rawRequest(1, maxPacket - 16)]);
    learner.send(...acks(2, 4), rawRequest(5, maxPacket - 15), ...acks(6, 8));
    await bench.until(() => learner.ends.length > 0 && leader.ends.length > 0, 'the link has closed on both sides');
    same(counters(leader.got.slice(1)), [2, 3, 4], 'what came before the large one');
    other.send(ack(1));
    await bench.until(() => otherLeader.got.length === 1, 'the other link works');
    const [again, leaderAgain] = await bench.link(a, b);
    await carries(bench, again, leaderAgain, fromLearner());
  },
};
