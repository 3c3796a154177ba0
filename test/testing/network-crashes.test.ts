import { describe, expect, it } from 'vitest';
import { Rig, sample } from './network-kit.ts';

const isPrefix = (part: Uint8Array, whole: Uint8Array): boolean => part.every((byte, i) => byte === whole[i]);

describe('a process that dies', () => {
  it('its peers get what its machine had taken, or a part of it, and an end, soon', async () => {
    const ends = new Set<string>();
    for (let seed = 1; seed <= 40; seed++) {
      const rig = new Rig(2, seed, { window: 1000 });
      const [near, far] = await rig.pair(1, 2);
      far.write(sample(5000));
      rig.crash(2, 'process');
      await rig.pass(50);
      expect(isPrefix(near.bytes, sample(1000))).toBe(true);
      if (near.told.includes('ended')) expect(near.count).toBe(1000);
      ends.add(near.told[1]);
      expect(far.told).toEqual([]);
      near.write(sample(10));
      await rig.pass(50);
      expect(near.reason).toBe('read ECONNRESET');
      expect(rig.network.connections()).toEqual([]);
    }
    expect([...ends].sort()).toEqual(['closed: read ECONNRESET', 'ended']);
  });

  it('its ports are free, and who connects is refused until the next process listens', async () => {
    const rig = new Rig(2, 1);
    await rig.listen(2);
    rig.crash(2, 'process');
    const refused = rig.dial(1, 2);
    await rig.pass(50);
    expect(refused.told).toEqual(['closed: connect ECONNREFUSED 10.0.0.2:1000']);
    rig.machines[2].boot();
    await rig.pair(1, 2);
  });

  it('what it has under way itself tells it nothing more', async () => {
    const rig = new Rig(2, 1);
    const [near, far] = await rig.pair(1, 2);
    near.write(sample(10));
    far.write(sample(10));
    const late = rig.dial(2, 1);
    rig.sockets[2].lookup('host1', () => far.told.push('found'));
    rig.crash(2, 'process');
    rig.machines[2].boot();
    far.write(sample(10));
    far.socket.destroy();
    await rig.pass(1000);
    expect([far.told, far.count, far.taken, late.told]).toEqual([[], 0, 0, []]);
  });

  it('what a dead process still calls does nothing', async () => {
    const rig = new Rig(2, 1);
    await rig.listen(1);
    rig.crash(2, 'process');
    const zombie = rig.dial(2, 1);
    zombie.write(sample(10));
    zombie.socket.destroy();
    rig.machines[2].boot();
    await rig.pass(100);
    expect([zombie.told, rig.accepted[1], rig.network.connections()]).toEqual([[], [], []]);
  });
});

describe('a crash and the network', () => {
  it('may be told after the process was killed: what is called in between does nothing', async () => {
    const rig = new Rig(2, 1);
    const [near, far] = await rig.pair(1, 2);
    rig.machines[2].kill();
    far.write(sample(10));
    far.socket.end();
    far.socket.destroy();
    rig.network.crashed(rig.machines[2], 'process');
    rig.machines[2].boot();
    await rig.pass(100);
    expect([near.count, near.told.length, far.told]).toEqual([0, 2, []]);
  });

  it('what a cut holds of a process that dies comes through when it is healed, of a machine without power nothing does', async () => {
    for (const how of ['process', 'power'] as const) {
      let most = 0;
      for (let seed = 1; seed <= 10; seed++) {
        const rig = new Rig(2, seed, { breakAfter: 60_000 });
        const [near, far] = await rig.pair(1, 2);
        rig.network.cut(2, 1);
        far.write(sample(100));
        await rig.pass(1000);
        rig.crash(2, how);
        rig.network.heal();
        await rig.pass(1000);
        most = Math.max(most, near.count);
      }
      expect(most).toBe(how === 'process' ? 100 : 0);
    }
  });

  it('what had arrived at a machine without power is not answered when it is there again', async () => {
    const rig = new Rig(2, 1, { breakAfter: 60_000 });
    const [near] = await rig.pair(1, 2);
    rig.machines[2].pause(1000);
    near.write(sample(10));
    await rig.pass(50);
    rig.crash(2, 'power');
    rig.machines[2].boot();
    await rig.listen(2);
    await rig.pass(20);
    expect(near.told).toEqual(['opened']);
    near.write(sample(10));
    await rig.pass(10);
    expect(near.reason).toBe('read ECONNRESET');
  });
});

describe('a machine that loses its power', () => {
  it('is silent, and answers with a reset when it is there again and is sent something', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const rig = new Rig(2, seed, { latency: { min: 5, max: 5 }, breakAfter: 60_000 });
      const [near, far] = await rig.pair(1, 2);
      far.write(sample(100));
      await rig.pass(2);
      rig.crash(2, 'power');
      near.write(sample(10));
      await rig.pass(10_000);
      expect([near.told, far.told]).toEqual([['opened'], []]);
      expect(isPrefix(near.bytes, sample(100))).toBe(true);
      rig.machines[2].boot();
      await rig.pass(1000);
      expect(near.told).toEqual(['opened']);
      await rig.listen(2);
      await rig.pass(400);
      expect(near.reason).toBe('read ECONNRESET');
    }
  });

  it('whoever sends nothing is told in the end as well', async () => {
    const rig = new Rig(2, 1);
    const [near] = await rig.pair(1, 2);
    rig.crash(2, 'power');
    await rig.pass(1000);
    rig.machines[2].boot();
    await rig.listen(2);
    await rig.pass(11_000);
    expect(near.reason).toBe('read ECONNRESET');
  });

  it('for longer than their patience: its peers give up', async () => {
    const rig = new Rig(2, 1, { breakAfter: 3000 });
    const [near] = await rig.pair(1, 2);
    rig.crash(2, 'power');
    near.write(sample(10));
    await rig.pass(4000);
    expect(near.reason).toMatch(/ETIMEDOUT/);
    expect(rig.network.connections()).toEqual([]);
  });

  it('who connects gets no answer, and is connected or refused when it is there again', async () => {
    const rig = new Rig(2, 1);
    const refused = rig.dial(1, 2, 2000);
    rig.crash(2, 'power');
    const connected = rig.dial(1, 2);
    await rig.pass(5000);
    expect([connected.told, refused.told]).toEqual([[], []]);
    rig.machines[2].boot();
    await rig.listen(2);
    await rig.pass(1000);
    expect(connected.told).toEqual(['opened']);
    expect(refused.reason).toMatch(/ECONNREFUSED/);
  });
});

describe('names', () => {
  it('a host that cannot be found fails look-ups and connects by its name, for the time given or until it is healed', async () => {
    const rig = new Rig(2, 1);
    const lookup = (host: string): Promise<string> =>
      rig.kernel.keepRunning(
        new Promise((resolve, reject) =>
          rig.sockets[1].lookup(host, (error, address) => (error === null ? resolve(address!) : reject(error))),
        ),
      );
    expect(await lookup('host2')).toBe('10.0.0.2');
    const [near] = await rig.pair(1, 2);
    rig.network.failLookups('host2', 1000);
    await expect(lookup('host2')).rejects.toThrow('ENOTFOUND host2');
    expect(await lookup('host1')).toBe('10.0.0.1');
    const failed = rig.dial(1, 2);
    await rig.pass(100);
    expect([failed.told, near.told]).toEqual([['closed: getaddrinfo ENOTFOUND host2'], ['opened']]);
    await rig.pass(1000);
    expect(await lookup('host2')).toBe('10.0.0.2');
    rig.network.failLookups('host2');
    await rig.pass(100_000);
    await expect(lookup('host2')).rejects.toThrow('ENOTFOUND host2');
    rig.network.heal();
    expect(await lookup('host2')).toBe('10.0.0.2');
  });

  it('two listeners of one port are one too many, whatever address they name', async () => {
    const rig = new Rig(2, 1);
    const first = await rig.listen(1);
    await expect(rig.listen(1)).rejects.toThrow('EADDRINUSE');
    await rig.kernel.keepRunning(new Promise<void>((resolve) => first.close(resolve)));
    await rig.listen(1);
    await rig.listen(2);
  });
});

describe('determinism', () => {
  async function story(seed: number): Promise<string> {
    const rig = new Rig(4, seed, { loss: 0.05, window: 3000, breakAfter: 2000 });
    const sides = [];
    for (const from of [1, 2, 3, 4]) for (const to of [1, 2, 3]) if (from !== to) sides.push(await rig.pair(from, to));
    for (let round = 0; round < 20; round++) {
      for (const [near, far] of sides) {
        near.write(sample(round * 50, round));
        far.write(sample(300, round));
      }
      if (round === 5) rig.network.isolate(2);
      if (round === 8) rig.network.reset(1, 3);
      if (round === 10) rig.crash(4, 'power');
      if (round === 12) rig.machines[1].pause(70);
      if (round === 15) rig.network.heal();
      await rig.pass(10);
    }
    await rig.pass(5000);
    return rig.kernel.trace.digest;
  }

  it('the same seed gives the same run, event for event, another seed another', async () => {
    const first = await story(7);
    expect(await story(7)).toBe(first);
    expect(await story(8)).not.toBe(first);
  });

  it('the digest is over the bytes', async () => {
    const run = async (mark: number): Promise<string> => {
      const rig = new Rig(2, 1);
      const [near, far] = await rig.pair(1, 2);
      near.write(sample(100, mark));
      await rig.until(() => far.count === 100, 'all bytes');
      return rig.kernel.trace.digest;
    };
    expect(await run(1)).toBe(await run(1));
    expect(await run(1)).not.toBe(await run(2));
  });
});
