import { describe, expect, test } from 'vitest';
import { Chance } from '../../src/testing/chance.ts';
import { Kernel } from '../../src/testing/kernel.ts';
import { Machine } from '../../src/testing/machine.ts';
import { formatLine, Trace } from '../../src/testing/trace.ts';

const newKernel = (): Kernel => new Kernel(new Trace(100), 100_000);

describe('kernel', () => {
  test('events come in the order of time, and of scheduling when the time is the same', async () => {
    const kernel = newKernel();
    const seen: string[] = [];
    const chance = new Chance(1, 'test');
    for (let i = 0; i < 500; i++) {
      const at = chance.below(20);
      kernel.after(at, null, 'x', () => seen.push(`${String(at).padStart(2, '0')} ${String(i).padStart(3, '0')}`));
    }
    await kernel.sleep(20);
    expect(seen).toHaveLength(500);
    expect(seen).toEqual([...seen].sort());
  });

  test('time stands still while nobody waits', async () => {
    const kernel = newKernel();
    let ran = false;
    kernel.after(1, null, 'x', () => {
      ran = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect([kernel.now, ran]).toEqual([0, false]);
    await kernel.sleep(5);
    expect([kernel.now, ran]).toEqual([5, true]);
  });

  test('every promise is carried as far as it goes before the next event', async () => {
    const kernel = newKernel();
    const seen: string[] = [];
    const deep = async (n: number): Promise<void> => (n === 0 ? void seen.push('settled') : deep(n - 1));
    kernel.after(1, null, 'x', () => void deep(50));
    kernel.after(1, null, 'x', () => seen.push('next event'));
    await kernel.sleep(2);
    expect(seen).toEqual(['settled', 'next event']);
  });

  test('a cancelled event does not happen', async () => {
    const kernel = newKernel();
    let ran = false;
    kernel.cancel(
      kernel.after(1, null, 'x', () => {
        ran = true;
      }),
    );
    await kernel.sleep(2);
    expect(ran).toBe(false);
  });

  test('until resolves in the moment of the event, and rejects when it takes too long', async () => {
    const kernel = newKernel();
    let done = false;
    kernel.after(7, null, 'x', () => {
      done = true;
    });
    await kernel.until(
      () => done,
      100,
      () => 'done',
    );
    expect(kernel.now).toBe(7);
    const late = kernel.until(
      () => false,
      100,
      () => 'never so',
    );
    await expect(late).rejects.toThrow('not within 100 simulated ms: never so');
    expect(kernel.now).toBe(107);
  });
});

describe('kernel: how it ends', () => {
  test('a failure reaches everybody who waits, and nothing happens after it', async () => {
    const kernel = newKernel();
    const seen: string[] = [];
    const waiting = [kernel.sleep(10), kernel.keepRunning(new Promise(() => {}))];
    kernel.after(1, null, 'x', () => kernel.fail(new Error('broken rule')));
    kernel.after(2, null, 'x', () => seen.push('later'));
    for (const promise of waiting) await expect(promise).rejects.toThrow('broken rule');
    await expect(kernel.sleep(1)).rejects.toThrow('broken rule');
    expect(seen).toEqual([]);
  });

  test('waiting for what nothing can bring is an error, no hang', async () => {
    await expect(newKernel().keepRunning(new Promise(() => {}))).rejects.toThrow('nothing can happen');
  });

  test('what a process throws is a failure that names the server', async () => {
    const kernel = newKernel();
    new Machine(kernel, 4).after(1, 'x', () => {
      throw new Error('oops');
    });
    await expect(kernel.sleep(2)).rejects.toThrow(/server 4: .*oops/);
  });

  test('events without end are a failure', async () => {
    const kernel = new Kernel(new Trace(10), 1000);
    const again = (): void => void kernel.after(0, null, 'x', again);
    again();
    await expect(kernel.sleep(1)).rejects.toThrow('more than 1000 events');
  });
});

describe('machine', () => {
  test('a crash ends all that the process has scheduled', async () => {
    const kernel = newKernel();
    const machine = new Machine(kernel, 1);
    const seen: string[] = [];
    machine.boot();
    machine.after(5, 'x', () => seen.push('event'));
    machine.clock.setTimer(5, () => seen.push('timer'));
    machine.clock.defer(() => seen.push('deferred'));
    machine.kill();
    machine.boot();
    machine.clock.setTimer(6, () => seen.push('new life'));
    await kernel.sleep(10);
    expect(seen).toEqual(['new life']);
  });

  test('a pause holds everything up, in order', async () => {
    const kernel = newKernel();
    const machine = new Machine(kernel, 1);
    const seen: string[] = [];
    for (const at of [3, 1, 2]) machine.after(at, 'x', () => seen.push(`${at} at ${kernel.now}`));
    machine.after(60, 'x', () => seen.push(`60 at ${kernel.now}`));
    machine.pause(50);
    await kernel.sleep(100);
    expect(seen).toEqual(['1 at 50', '2 at 50', '3 at 50', '60 at 60']);
  });

  test('a clock that drifts counts its own milliseconds, and never goes back', async () => {
    const kernel = newKernel();
    const machine = new Machine(kernel, 1, 1000);
    machine.setClockRate(2);
    const before = machine.clock.now();
    let rang = 0;
    machine.clock.setTimer(10, () => {
      rang = kernel.now;
    });
    await kernel.sleep(20);
    expect(machine.clock.now() - before).toBe(40);
    expect(rang).toBeGreaterThanOrEqual(5);
    expect(rang).toBeLessThan(5.1);
    machine.setClockRate(0.5);
    const then = machine.clock.now();
    await kernel.sleep(10);
    expect(machine.clock.now() - then).toBe(5);
  });

  test('a jump moves the wall clock alone', () => {
    const machine = new Machine(newKernel(), 1);
    const [now, wall] = [machine.clock.now(), machine.clock.wall()];
    machine.jumpWall(-5000);
    expect([machine.clock.now() - now, machine.clock.wall() - wall]).toEqual([0, -5000]);
  });
});

describe('chance', () => {
  test('is the same on every machine', () => {
    const chance = new Chance(42, 'name');
    // Written down once: another engine or another version must draw these.
    expect(Array.from({ length: 6 }, () => chance.below(1000))).toEqual([297, 177, 276, 453, 364, 326]);
  });

  test('differs by seed, by name, and by seeds beyond 32 bits', () => {
    const draw = (seed: number, name: string): string => {
      const chance = new Chance(seed, name);
      return Array.from({ length: 8 }, () => chance.below(1 << 30)).join();
    };
    const all = [draw(1, 'a'), draw(2, 'a'), draw(1, 'b'), draw(1 + 2 ** 32, 'a'), draw(1 + 2 ** 33, 'a'), draw(1, 'aa')];
    expect(new Set(all).size).toBe(all.length);
  });

  test('is spread evenly enough', () => {
    const chance = new Chance(7, 'spread');
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 100_000; i++) counts[chance.below(10)]++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
    let hits = 0;
    for (let i = 0; i < 100_000; i++) if (chance.chance(0.25)) hits++;
    expect(Math.abs(hits - 25_000)).toBeLessThan(700);
  });

  test('drawing from a fork changes nothing in what it came from', () => {
    const [a, b] = [new Chance(3, 'x'), new Chance(3, 'x')];
    a.fork('y').below(5);
    expect(a.below(1e9)).toBe(b.below(1e9));
  });
});

describe('trace', () => {
  test('the digest tells apart order, time, server, kind, detail and bytes', () => {
    const digests = [
      (t: Trace) => t.event(1, 1, 'a'),
      (t: Trace) => t.event(2, 1, 'a'),
      (t: Trace) => t.event(1, 2, 'a'),
      (t: Trace) => t.event(1, 1, 'b'),
      (t: Trace) => t.event(1, 1, 'a', 1),
      (t: Trace) => t.mixBytes(Uint8Array.of(1, 2)),
      (t: Trace) => t.mixBytes(Uint8Array.of(2, 1)),
      (t: Trace) => {
        t.event(1, 1, 'a');
        t.event(1, 1, 'b');
      },
      (t: Trace) => {
        t.event(1, 1, 'b');
        t.event(1, 1, 'a');
      },
      () => {},
    ].map((run) => {
      const trace = new Trace(0);
      run(trace);
      return trace.digest;
    });
    expect(new Set(digests).size).toBe(digests.length);
    for (const digest of digests) expect(digest).toMatch(/^[0-9a-f]{16}$/);
  });

  test('keeps the last lines and asks for their text only when they are read', () => {
    const trace = new Trace(3);
    let asked = 0;
    for (let i = 1; i <= 10; i++)
      trace.note(i, i % 2, () => {
        asked++;
        return `line ${i}`;
      });
    expect(asked).toBe(0);
    expect(trace.lines().map((line) => line.text)).toEqual(['line 8', 'line 9', 'line 10']);
    expect(asked).toBe(3);
    expect(formatLine({ at: 1500, server: 2, text: 'x' })).toBe('    1.5000 s  server 2  x');
  });
});
