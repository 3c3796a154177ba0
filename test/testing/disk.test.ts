import { describe, expect, it } from 'vitest';
import type { OpenFile, OpenMode } from '../../src/seams/file-system.ts';
import { Chance } from '../../src/testing/chance.ts';
import type { Remains } from '../../src/testing/disk.ts';
import type { CrashMoment } from '../../src/testing/disk-faults.ts';
import { LabDisk } from './lab-disk.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);
const text = (disk: LabDisk, path: string): string | undefined => {
  const found = disk.get(path);
  return found === undefined ? undefined : Buffer.from(found).toString();
};

/** The operations of a disk as promises. */
class Files {
  constructor(readonly disk: LabDisk) {}

  call<T>(start: (done: (error: Error | null, value?: T) => void) => void): Promise<T> {
    const promise = new Promise<T>((resolve, reject) => start((error, value) => (error === null ? resolve(value as T) : reject(error))));
    return this.disk.kernel.keepRunning(promise);
  }

  open = (path: string, mode: OpenMode): Promise<OpenFile> => this.call((done) => this.disk.open(path, mode, done));
  write = (file: OpenFile, content: string, position = 0): Promise<void> =>
    this.call((done) => file.write(bytes(content), content.length, position, done));
  truncate = (file: OpenFile, size: number): Promise<void> => this.call((done) => file.truncate(size, done));
  sync = (file: OpenFile): Promise<void> => this.call((done) => file.datasync(done));
  syncDir = (path: string): Promise<void> => this.call((done) => this.disk.fsyncDir(path, done));
  rename = (from: string, to: string): Promise<void> => this.call((done) => this.disk.rename(from, to, done));
  unlink = (path: string): Promise<void> => this.call((done) => this.disk.unlink(path, done));

  /** A file with this content, synced, and its name too. */
  async make(path: string, content: string, mode: OpenMode = 'create'): Promise<OpenFile> {
    await this.call((done) => this.disk.mkdir('/d', done));
    const file = await this.open(path, mode);
    await this.write(file, content);
    await this.sync(file);
    await this.syncDir('/d');
    return file;
  }
}

function lab(seed = 1): { disk: LabDisk; files: Files } {
  const disk = new LabDisk(seed);
  return { disk, files: new Files(disk) };
}

const REMAINS: readonly Remains[] = ['nothing', 'all', 'some'];

describe('what a power loss leaves', () => {
  it('is what was written, whatever becomes of the buffer that it was written from', async () => {
    const { disk, files } = lab();
    const file = await files.make('/d/a', 'first');
    const bytes = Buffer.from('other');
    await files.call((done) => file.write(bytes, bytes.length, 0, done));
    bytes.fill('x');
    disk.crash('power', 'all');
    expect(Buffer.from(disk.get('/d/a')!).toString()).toBe('other');
  });

  it('is what was synced: bytes, size and names, each by a sync of its own', async () => {
    const { disk, files } = lab();
    const file = await files.make('/d/a', 'first');
    await files.write(file, 'SECOND');
    await files.make('/d/b', 'named');
    const late = await files.open('/d/c', 'create');
    await files.write(late, 'no name');
    await files.sync(late);
    await files.rename('/d/b', '/d/b2');
    expect(disk.list()).toEqual(['/d/a', '/d/b2', '/d/c']);
    disk.crash('power', 'nothing');
    expect(disk.list()).toEqual(['/d/a', '/d/b']);
    expect([text(disk, '/d/a'), text(disk, '/d/b')]).toEqual(['first', 'named']);
    expect(disk.counts.lost).toBeGreaterThan(2);
  });

  it('is everything when all remains, and after the death of the process alone', async () => {
    for (const how of ['power', 'process'] as const) {
      const { disk, files } = lab();
      const file = await files.make('/d/a', 'first');
      await files.write(file, 'SECOND');
      await files.truncate(file, 4);
      await files.rename('/d/a', '/d/b');
      disk.crash(how, 'all');
      expect(disk.list()).toEqual(['/d/b']);
      expect(text(disk, '/d/b')).toBe('SECO');
    }
  });

  it('can be any of the sectors of a write, and any of the changes of names', async () => {
    const left = new Set<string>();
    const names = new Set<string>();
    for (let seed = 1; seed < 80; seed++) {
      const { disk, files } = lab(seed);
      const file = await files.make('/d/a', '.'.repeat(1536));
      await files.write(file, 'x'.repeat(1200), 100);
      await files.open('/d/new', 'create');
      await files.rename('/d/a', '/d/b');
      disk.crash('power', 'some');
      const path = disk.list().find((name) => /[ab]$/.test(name)) ?? '';
      const content = text(disk, path) ?? '';
      left.add([100, 511, 512, 1023, 1024, 1299].map((at) => content[at]).join(''));
      names.add(disk.list().join(' '));
      expect(content.slice(0, 100) + content.slice(1300)).toBe('.'.repeat(336));
    }
    expect([...left].sort()).toEqual(['......', '....xx', '..xx..', '..xxxx', 'xx....', 'xx..xx', 'xxxx..', 'xxxxxx']);
    expect([...names].sort()).toEqual(['/d/a', '/d/a /d/new', '/d/b', '/d/b /d/new']);
  });

  it('has the names of a folder that was synced, and no others', async () => {
    const { disk, files } = lab();
    await files.call((done) => disk.mkdir('/e', done));
    await files.make('/d/a', 'x');
    await files.rename('/d/a', '/d/b');
    await files.open('/e/a', 'create');
    await files.syncDir('/e');
    disk.crash('power', 'nothing');
    expect(disk.list()).toEqual(['/d/a', '/e/a']);
  });

  it('is there without a sync where each write is durable', async () => {
    const { disk, files } = lab();
    const file = await files.make('/d/a', 'first', 'createDurable');
    expect(file.durableWrites).toBe(true);
    await files.write(file, '+more', 5);
    disk.crash('power', 'nothing');
    expect(text(disk, '/d/a')).toBe('first+more');
  });
});

describe('an image', () => {
  it('tells what a power loss would leave, changes nothing, and is not changed', async () => {
    const { disk, files } = lab();
    const file = await files.make('/d/a', 'first');
    await files.write(file, 'SECOND');
    const images = REMAINS.map((remains) => disk.image(remains, new Chance(7, 'image')));
    await files.write(file, 'third!');
    await files.sync(file);
    const [nothing, all, some] = images.map((image) => text(new LabDisk(1, image), '/d/a'));
    expect([nothing, all]).toEqual(['first', 'SECOND']);
    expect(['first', 'SECOND']).toContain(some);
    expect(text(disk, '/d/a')).toBe('third!');
    const copy = new LabDisk(1, images[0]);
    const changed = await new Files(copy).open('/d/a', 'modify');
    await new Files(copy).write(changed, 'other');
    await new Files(copy).sync(changed);
    expect([text(copy, '/d/a'), text(new LabDisk(1, images[0]), '/d/a'), text(disk, '/d/a')]).toEqual(['other', 'first', 'third!']);
  });
});

describe('content', () => {
  it('is what was written, over pages, holes, cuts and extensions', async () => {
    const chance = new Chance(3, 'content');
    const { disk, files } = lab();
    const file = await files.make('/d/a', '');
    let model = Buffer.alloc(0);
    for (let i = 0; i < 300; i++) {
      const at = chance.below(20_000);
      if (chance.chance(0.2)) {
        const next = Buffer.alloc(at);
        model.copy(next);
        model = next;
        await files.truncate(file, at);
      } else {
        const part = String.fromCharCode(97 + (i % 26)).repeat(chance.below(6000));
        const next = Buffer.alloc(Math.max(model.length, part === '' ? 0 : at + part.length));
        model.copy(next);
        next.write(part, at);
        model = next;
        if (part !== '') await files.write(file, part, at);
      }
      if (chance.chance(0.3)) await files.sync(file);
      expect(Buffer.from(disk.get('/d/a') as Uint8Array).equals(model), `after change ${i}`).toBe(true);
      const all = new LabDisk(1, disk.image('all')).get('/d/a') as Uint8Array;
      expect(Buffer.from(all).equals(model), `all that remains after change ${i}`).toBe(true);
    }
  });

  it('takes memory only where something was written', async () => {
    const { disk, files } = lab();
    const file = await files.make('/d/a', 'x');
    await files.truncate(file, 2 ** 40);
    await files.write(file, 'y', 2 ** 39);
    await files.sync(file);
    const image = disk.image().files.get('/d/a');
    expect([image?.size, image?.pages.size]).toEqual([2 ** 40, 2]);
  });

  it('is refused as by a real system', async () => {
    const { disk, files } = lab();
    await files.make('/d/a', 'x');
    const code = (promise: Promise<unknown>): Promise<unknown> =>
      promise.then(
        () => '',
        (error: { code: string }) => error.code,
      );
    expect(await code(files.open('/d/a', 'create'))).toBe('EEXIST');
    expect(await code(files.open('/d/b', 'read'))).toBe('ENOENT');
    expect(await code(files.open('/e/b', 'create'))).toBe('ENOENT');
    expect(await code(files.unlink('/d/b'))).toBe('ENOENT');
    expect(await code(files.rename('/d/b', '/d/c'))).toBe('ENOENT');
    expect(await code(files.syncDir('/e'))).toBe('ENOENT');
    expect(await code(files.call((done) => disk.readdir('/e', done)))).toBe('ENOENT');
    expect(disk.journal.filter((line) => /b|e/.test(line.slice(-1)))).toEqual([]);
    expect(await files.call((done) => disk.stat('/d/b', done))).toBe(-1);
  });
});

describe('time', () => {
  it('passes as the bounds say, and operations of one file keep their order', async () => {
    const { disk, files } = lab(5);
    const file = await files.make('/d/a', '');
    disk.latency = { cached: [1, 20], durable: [100, 100.5] };
    const ends: string[] = [];
    const reads = Array.from({ length: 30 }, (_, i) =>
      files.call((done) =>
        file.read(new Uint8Array(1), 0, 1, 0, (error) => {
          ends.push(`${i}`);
          done(error);
        }),
      ),
    );
    const begun = disk.kernel.now;
    await Promise.all(reads);
    expect(ends).toEqual(reads.map((_, i) => `${i}`));
    const between = disk.kernel.now;
    expect(between - begun).toBeGreaterThan(1);
    expect(between - begun).toBeLessThan(21);
    await files.sync(file);
    expect(disk.kernel.now - between).toBeGreaterThanOrEqual(100);
    expect(disk.kernel.now - between).toBeLessThanOrEqual(100.51);
  });

  it('is the same for the same seed, event for event, and another for another seed', async () => {
    const digest = async (seed: number): Promise<string> => {
      const { disk, files } = lab(seed);
      const file = await files.make('/d/a', 'first');
      await Promise.all([files.write(file, 'x'.repeat(seed > 8 ? 9 : 8), 4), files.make('/d/b', 'second'), files.syncDir('/d')]);
      disk.crash('power');
      return `${disk.kernel.trace.digest} ${disk.kernel.now} ${disk.list()} ${text(disk, '/d/a')}`;
    };
    expect(await digest(1)).toBe(await digest(1));
    expect(await digest(1)).not.toBe(await digest(2));
  });

  it('has an effect only at its end: until then a reader sees nothing of a write', async () => {
    const { disk, files } = lab();
    const file = await files.make('/d/a', 'first');
    const writing = files.write(file, 'SECOND');
    expect(text(disk, '/d/a')).toBe('first');
    await writing;
    expect(text(disk, '/d/a')).toBe('SECOND');
  });
});

describe('a crash', () => {
  it.each<[CrashMoment, string[]]>([
    ['before', ['first']],
    ['torn', ['Sirst', 'SErst', 'SECst', 'SECOt', 'SECON']],
    ['after', ['SECOND']],
  ])('comes %s a step, and the caller is never told', async (moment, outcomes) => {
    const seen = new Set<string | undefined>();
    for (let seed = 1; seed < 40; seed++) {
      const { disk, files } = lab(seed);
      const file = await files.make('/d/a', 'first', 'createDurable');
      disk.crashAt(/^write \/d\/a$/, moment, () => {
        disk.machine.kill();
        disk.crash('power', 'nothing');
      });
      let told = false;
      file.write(bytes('SECOND'), 6, 0, () => {
        told = true;
      });
      await disk.kernel.sleep(50);
      expect([told, disk.counts.crashes, disk.counts.torn]).toEqual([false, 1, moment === 'torn' ? 1 : 0]);
      seen.add(text(disk, '/d/a'));
    }
    expect([...seen].sort()).toEqual(outcomes.sort());
  });

  it('can come at each step by its number, and the step goes on where nothing crashes', async () => {
    const lines: string[] = [];
    for (let step = 1; step <= 6; step++) {
      const { disk, files } = lab();
      disk.crashAt(step, 'before', () => void lines.push(disk.journal.at(-1) as string));
      await files.make('/d/a', 'first');
      disk.crash('power', 'nothing');
      expect(text(disk, '/d/a')).toBe('first');
    }
    expect(lines).toEqual(['mkdir /d', 'create /d/a', 'write /d/a', 'sync /d/a', 'syncDir /d']);
  });

  it('lets a listener end the process before a step', async () => {
    const { disk, files } = lab();
    const file = await files.make('/d/a', 'first');
    const stop = disk.onStep((line) => {
      if (line !== 'write /d/a') return;
      disk.kill();
    });
    await expect(files.disk.driven(files).write(file, 'SECOND')).rejects.toThrow('killed');
    expect(text(disk, '/d/a')).toBe('first');
    stop();
  });
});

describe('the death of a process', () => {
  it('leaves what was under way undone, done or done by a part', async () => {
    const seen = new Set<string | undefined>();
    for (let seed = 1; seed < 60; seed++) {
      const { disk, files } = lab(seed);
      const file = await files.make('/d/a', 'aaa');
      file.write(bytes('BBB'), 3, 0, () => expect.unreachable());
      disk.kill();
      await disk.kernel.sleep(10);
      seen.add(text(disk, '/d/a'));
    }
    expect([...seen].sort()).toEqual(['BBB', 'BBa', 'Baa', 'aaa']);
  });

  it('closes files and locks of the process, and nothing of it reaches the disk any more', async () => {
    const { disk, files } = lab();
    const file = await files.make('/d/a', 'first');
    const lock = (): Promise<unknown> => files.call((done) => disk.lock('/d/lock', done));
    await lock();
    await expect(lock()).rejects.toThrow(/in use/);
    disk.kill();
    disk.unlink('/d/a', () => expect.unreachable());
    disk.machine.boot();
    file.write(bytes('zombie'), 6, 0, () => expect.unreachable());
    await lock();
    await disk.kernel.sleep(10);
    expect([text(disk, '/d/a'), disk.openFiles]).toEqual(['first', 0]);
  });

  it('is what a disk takes it for that was told of nothing', async () => {
    const { disk, files } = lab();
    await files.make('/d/a', 'first');
    await files.call((done) => disk.lock('/d/lock', done));
    disk.machine.kill();
    disk.machine.boot();
    await files.call((done) => disk.lock('/d/lock', done));
    expect(disk.counts.crashes).toBe(1);
  });
});

describe('faults', () => {
  it('fail the steps that match, so often, until they are taken back', async () => {
    const { disk, files } = lab();
    const file = await files.make('/d/a', 'first');
    disk.failOn(/^sync .*a$/g, 'EIO', 2);
    for (let i = 0; i < 2; i++)
      await expect(files.sync(file)).rejects.toMatchObject({ code: 'EIO', message: expect.stringContaining('/d/a') });
    await files.sync(file);
    disk.failNext('ENOSPC');
    await expect(files.rename('/d/a', '/d/b')).rejects.toMatchObject({ code: 'ENOSPC' });
    await files.rename('/d/a', '/d/b');
    disk.failOn(2, 'EIO');
    await files.syncDir('/d');
    await expect(files.unlink('/d/b')).rejects.toMatchObject({ code: 'EIO' });
    await expect(files.syncDir('/d')).rejects.toMatchObject({ code: 'EIO' });
    disk.heal();
    await files.syncDir('/d');
    expect(disk.list()).toEqual(['/d/b']);
    expect([disk.counts.EIO, disk.counts.ENOSPC]).toEqual([4, 1]);
  });

  it('make a failed sync one that no later sync makes good, though a reader sees no difference', async () => {
    const { disk, files } = lab();
    const seen = new Set<string | undefined>();
    const file = await files.make('/d/a', 'first');
    for (let i = 0; i < 20; i++) {
      await files.write(file, 'first');
      await files.sync(file);
      await files.write(file, 'OTHER');
      disk.failNext('EIO');
      await expect(files.sync(file)).rejects.toThrow('EIO');
      await files.sync(file);
      expect(text(disk, '/d/a')).toBe('OTHER');
      seen.add(text(new LabDisk(1, disk.image('all')), '/d/a'));
    }
    expect([...seen].sort()).toEqual(['OTHER', 'first']);
  });
});

describe('a bad disk', () => {
  it('that is full takes nothing, and can be deleted from', async () => {
    const { disk, files } = lab();
    const file = await files.make('/d/a', 'first');
    disk.full = true;
    await expect(files.open('/d/b', 'create')).rejects.toMatchObject({ code: 'ENOSPC' });
    await expect(files.write(file, 'SECOND')).rejects.toMatchObject({ code: 'ENOSPC' });
    await files.sync(file);
    await files.unlink('/d/a');
    disk.heal();
    await files.open('/d/b', 'create');
    expect(disk.counts.ENOSPC).toBe(2);
  });

  it('that lies seems well until the power goes', async () => {
    const { disk, files } = lab();
    const plain = await files.make('/d/a', 'first');
    const durable = await files.make('/d/b', 'first', 'createDurable');
    disk.lying = true;
    await files.write(plain, 'SECOND');
    await files.sync(plain);
    await files.write(durable, 'SECOND');
    await files.rename('/d/a', '/d/c');
    await files.syncDir('/d');
    expect([text(disk, '/d/b'), text(disk, '/d/c')]).toEqual(['SECOND', 'SECOND']);
    const lost = new LabDisk(1, disk.image());
    expect([lost.list(), text(lost, '/d/a'), text(lost, '/d/b')]).toEqual([['/d/a', '/d/b'], 'first', 'first']);
    expect(disk.counts.lied).toBe(3);
    disk.lying = false;
    await files.sync(plain);
    await files.syncDir('/d');
    disk.crash('power', 'nothing');
    expect([text(disk, '/d/b'), text(disk, '/d/c')]).toEqual(['first', 'SECOND']);
  });

  it('that rots has one bit flipped, for readers and after a power loss', async () => {
    const { disk, files } = lab();
    const first = '0'.repeat(9000);
    const file = await files.make('/d/a', first);
    await files.truncate(file, 1_000_000);
    await files.sync(file);
    await files.make('/d/b', 'x');
    const before = disk.image();
    const rotten = disk.rot('/d/a');
    const bits = (a: Uint8Array, b: Uint8Array): number[] => {
      const differ: number[] = [];
      for (let i = 0; i < Math.max(a.length, b.length); i++) if (a[i] !== b[i]) differ.push(i);
      return differ;
    };
    const content = disk.get('/d/a') as Uint8Array;
    expect(bits(content, new LabDisk(1, before).get('/d/a') as Uint8Array)).toEqual([rotten?.offset]);
    expect(rotten?.offset).toBeLessThan(3 * 4096);
    expect(bits(content, new LabDisk(1, disk.image()).get('/d/a') as Uint8Array)).toEqual([]);
    expect(new Set(Array.from({ length: 20 }, () => disk.rot()?.path))).toEqual(new Set(['/d/a', '/d/b']));
    expect([disk.rot('/d/c'), disk.counts.rot]).toEqual([undefined, 21]);
    // Where the cache has the page changed, the disk's is another.
    await files.write(file, 'y');
    disk.rot('/d/a');
    const image = disk.image();
    const kept = new LabDisk(1, image).get('/d/a') as Uint8Array;
    for (let i = 0; i < 10; i++) disk.rot('/d/a');
    expect(bits(kept, new LabDisk(1, image).get('/d/a') as Uint8Array)).toEqual([]);
  });
});

describe('from outside', () => {
  it('files can be put, looked at and taken away, durably', async () => {
    const { disk, files } = lab();
    disk.put('/d/e/a', bytes('put'));
    await files.unlink('/d/e/a');
    disk.put('/d/e/a', bytes('again'));
    await files.syncDir('/d/e');
    disk.put('/other', bytes('x'));
    disk.crash('power', 'nothing');
    expect([disk.list(), disk.list('/d'), text(disk, '/d/e/a')]).toEqual([['/d/e/a', '/other'], ['/d/e/a'], 'again']);
    expect(await files.call((done) => disk.readdir('/d', done))).toEqual(['e']);
    disk.remove('/d');
    disk.crash('power', 'nothing');
    expect(disk.list()).toEqual(['/other']);
    await expect(files.open('/d/e/b', 'create')).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
