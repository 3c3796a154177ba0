import { afterEach, expect, test } from 'vitest';
import type { EnsembleNode } from '../../src/index.ts';
import { compareZxid } from '../../src/index.ts';
import { eventually, failureOf, type Writer, within } from './client.ts';
import { Rig, type RigOptions } from './rig.ts';

const TICK = 100;

let rig: Rig;
afterEach(async () => {
  rig.network.setDelay(0);
  rig.network.heal();
  await rig.stopAll();
});

async function ensemble(options: Partial<RigOptions> = {}): Promise<{ leader: EnsembleNode; others: EnsembleNode[] }> {
  rig = new Rig({ voters: 3, tickTime: TICK, initLimit: 10, syncLimit: 5, maxSessionTimeout: 60_000, ...options });
  await rig.startAll();
  return rig.roles();
}

/** Cuts off without a sign: links stay open and nothing moves on them. */
const stall = (id: number, others: readonly EnsembleNode[]) =>
  rig.network.partition(
    [id],
    others.map((node) => node.id),
    { stall: true },
  );

test('a leader that is cut off answers no sync, acknowledges no write, and steps down (faults 1675, 2136)', async () => {
  const { leader, others } = await ensemble();
  const session = await leader.openSession({ timeout: 60_000 });
  await session.create('/x', 'old');
  await rig.converge();
  stall(leader.id, others);
  const cut = performance.now();
  // Asked at every moment between the cut and the step down, and before the others can know.
  const answers: Promise<string>[] = [];
  const writes: Promise<{ code: string; outcome: string }>[] = [];
  const ask = async () => {
    answers.push(
      leader.sync().then(
        (zxid) => `answered ${zxid}`,
        (error: { code: string }) => error.code,
      ),
    );
    answers.push(
      session.sync().then(
        () => 'answered',
        (error: { code: string }) => error.code,
      ),
    );
    writes.push(failureOf(session.create(`/lost-${writes.length}`)));
    await new Promise((resolve) => setTimeout(resolve, 10));
  };
  while (leader.serving && performance.now() < cut + 5_000) await ask();
  expect(leader.serving).toBe(false);
  // syncLimit is 5 ticks; the rest is patience with a busy machine.
  expect(performance.now() - cut).toBeGreaterThan(4 * TICK);
  await eventually('the others go on', () => others.every((node) => node.serving && node.leaderId !== leader.id));
  const newer = await others[0].openSession({ timeout: 60_000 });
  const { mzxid } = await newer.setData('/x', 'new');
  expect(leader.tree.getData('/x')?.text()).toBe('old');
  expect(await failureOf(leader.sync())).toEqual({ code: 'CONNECTION_LOSS', outcome: 'not-done' });
  expect(new Set(await within('all syncs end', Promise.all(answers)))).toEqual(new Set(['CONNECTION_LOSS']));
  for (const { code, outcome } of await within('all writes end', Promise.all(writes)))
    expect([code, outcome]).toEqual(['CONNECTION_LOSS', 'unknown']);
  rig.network.heal();
  await rig.verify([]);
  expect(compareZxid(await leader.sync(), mzxid)).toBeGreaterThanOrEqual(0);
  expect(leader.tree.getData('/x')?.text()).toBe('new');
  expect(leader.tree.getChildren('/')?.filter((name) => name.startsWith('lost'))).toEqual([]);
});

test('a follower that is cut off without a sign stops serving; its syncs are never stale', async () => {
  const { leader, others } = await ensemble();
  const [cut, other] = others;
  const session = await leader.openSession({ timeout: 60_000 });
  await session.create('/x', 'old');
  await rig.converge();
  stall(cut.id, [leader, other]);
  const answers: Promise<string>[] = [];
  const ask = () =>
    cut.sync().then(
      () => 'answered',
      (error: { code: string }) => error.code,
    );
  answers.push(ask());
  await session.setData('/x', 'new');
  await eventually('it stops', () => {
    answers.push(ask());
    return !cut.serving;
  });
  expect(new Set(await Promise.all(answers))).toEqual(new Set(['CONNECTION_LOSS']));
  // For the others nothing has changed.
  expect([leader.serving, leader.epoch, other.leaderId]).toEqual([true, 1, leader.id]);
  rig.network.heal();
  await rig.verify([]);
});

/** Each direction of each link, and both of one server's sends or receipts. */
test.each([
  ['from the leader to a follower', (l: number, [a]: number[]) => [[l, a]]],
  ['from a follower to the leader', (l: number, [a]: number[]) => [[a, l]]],
  [
    'all that the leader sends',
    (l: number, [a, b]: number[]) => [
      [l, a],
      [l, b],
    ],
  ],
  [
    'all that the leader is sent',
    (l: number, [a, b]: number[]) => [
      [a, l],
      [b, l],
    ],
  ],
  [
    'between the followers',
    (_l: number, [a, b]: number[]) => [
      [a, b],
      [b, a],
    ],
  ],
] as const)('a network that loses %s: somebody serves, nothing is lost', async (_, cuts) => {
  const { leader, others } = await ensemble({ tickTime: 50 });
  const writers = [1, 2, 3].map((id) => rig.writer(id, 1));
  await rig.progress(writers, 200);
  for (const [from, to] of cuts(
    leader.id,
    others.map((node) => node.id),
  ))
    rig.network.cut(from, to, { oneWay: true });
  // Well past syncLimit (250 ms).
  const begin = performance.now();
  await eventually('it has been noticed', () => performance.now() > begin + 700);
  await rig.progress(writers, 200);
  rig.network.heal();
  await rig.progress(writers, 200);
  await rig.verify(writers);
});

test('a follower behind a slow link slows nobody else', async () => {
  const { leader, others } = await ensemble();
  const [slow, quick] = others;
  const delay = 150;
  rig.network.setDelay((from, to) => (from === slow.id || to === slow.id ? delay : 0));
  for (const node of [leader, quick]) {
    const session = await node.openSession({ timeout: 60_000 });
    const times: number[] = [];
    for (let k = 0; k < 60; k++) {
      const begin = performance.now();
      await session.create(`/n${node.id}-${k}`);
      times.push(performance.now() - begin);
      const { length } = times;
      if (length % 20 === 0) await node.sync();
    }
    // A write through the slow one takes two of its delays at least.
    expect(times.sort((a, b) => a - b)[times.length / 2]).toBeLessThan(delay);
  }
  const session = await slow.openSession({ timeout: 60_000 });
  const begin = performance.now();
  await session.create('/through-the-slow-one');
  expect(performance.now() - begin).toBeGreaterThan(1.8 * delay);
  expect(slow.serving).toBe(true);
  await rig.verify([]);
});

/** A tree of about 8 MB: a snapshot of it is a stream of many parts. */
async function fill(node: EnsembleNode): Promise<void> {
  const session = await node.openSession({ timeout: 60_000 });
  const data = 'x'.repeat(2000);
  // Not all at once: what waits for a learner has its limits.
  for (let from = 0; from < 4000; from += 200) {
    await within('the tree is filled', Promise.all(Array.from({ length: 200 }, (_, k) => session.create(`/big-${from + k}`, data))));
  }
  await session.close();
}

/** The longest time between two acknowledgements to be seen from now on, ms. */
function longestPause(writers: readonly Writer[]): () => number {
  const total = () => writers.reduce((n, w) => n + w.acknowledged.size, 0);
  let [last, at, longest] = [total(), performance.now(), 0];
  const timer = setInterval(() => {
    const now = performance.now();
    if (total() === last) return;
    longest = Math.max(longest, now - at);
    last = total();
    at = now;
  }, 1);
  return () => {
    clearInterval(timer);
    return Math.max(longest, performance.now() - at);
  };
}

test('a learner that stalls in the middle of its snapshot stops no write, and is dropped at its limit (fault 3531)', async () => {
  const initLimit = 16;
  const { leader, others } = await ensemble({ commitLogCount: 10, initLimit });
  const [away, other] = others;
  await fill(leader);
  await rig.stop(away.id);
  rig.storages.delete(away.id);
  const writers = [leader, other].map((node) => rig.writer(node.id));
  await rig.progress(writers, 200);
  rig.network.setDelay((from, to) => (from === leader.id && to === away.id ? 30 : 0));
  rig.log.length = 0;
  const starting = rig.start(away.id);
  starting.catch(() => {});
  await eventually('the snapshot begins', () => rig.log.some((line) => line.includes(`server ${away.id} at`) && line.includes('SNAP')));
  rig.network.cut(leader.id, away.id, { stall: true });
  const pause = longestPause(writers);
  const dropped = () =>
    rig.log.some((line) => line.includes(` ${leader.id} info closing the link`) && line.includes(`server ${away.id}: not synchronised`));
  await eventually('the leader drops the learner', dropped);
  expect(leader.metrics().snapshotsSent).toBe(0);
  await rig.progress(writers, 200);
  expect(pause()).toBeLessThan(initLimit * TICK);
  expect(leader.epoch).toBe(1);
  rig.network.setDelay(0);
  rig.network.heal();
  await within('it joins in the end', starting);
  await rig.verify(writers);
});

test.each(['follows', 'is sent a snapshot'] as const)(
  'a learner that stalls while it %s takes no more than maxLearnerBacklog of memory',
  async (when) => {
    // Only the bytes that wait may end it: the limits in time are far away.
    const limit = 1_000_000;
    const { leader, others } = await ensemble({ commitLogCount: 10, initLimit: 300, syncLimit: 300, maxLearnerBacklog: 3 * limit });
    const [away, other] = others;
    let starting: Promise<void> = Promise.resolve();
    if (when === 'is sent a snapshot') {
      await fill(leader);
      await rig.stop(away.id);
      rig.storages.delete(away.id);
      rig.network.setDelay((from, to) => (from === leader.id && to === away.id ? 30 : 0));
      starting = rig.start(away.id);
      starting.catch(() => {});
      await eventually('the snapshot begins', () => rig.log.some((line) => line.includes(`server ${away.id} at`) && line.includes('SNAP')));
    }
    rig.network.cut(leader.id, away.id, { stall: true });
    const session = await other.openSession({ timeout: 60_000 });
    const data = 'y'.repeat(10_000);
    const dropped = () => rig.log.findIndex((line) => line.includes('maxLearnerBacklog'));
    let sent = 0;
    while (dropped() === -1 && sent < 40 * limit) {
      await session.create(`/y-${sent}`, data);
      sent += data.length;
    }
    expect(dropped(), `dropped after ${sent} bytes`).not.toBe(-1);
    // Beside what the stream itself may have under way, 2 MB.
    expect(sent).toBeGreaterThan(0.5 * limit);
    rig.network.setDelay(0);
    rig.network.heal();
    await within('it joins again', starting);
    await rig.verify([]);
    expect(leader.epoch).toBe(1);
  },
);
