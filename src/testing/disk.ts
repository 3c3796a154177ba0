import type { FileDone, FileSystem, OpenFile, OpenMode } from '../seams/file-system.ts';
import type { Chance } from './chance.ts';
import type { FileImage } from './disk-content.ts';
import { type CrashMoment, type DiskCounts, type DiskFault, DiskFaults, type StepPattern } from './disk-faults.ts';
import { DiskFile, DiskNames, folderOf } from './disk-file.ts';
import type { Trace } from './trace.ts';

/** What a disk needs of the machine that it is in; a `Machine` has it all. */
export interface DiskHost {
  readonly id: number;
  readonly up: boolean;
  readonly life: number;
  readonly kernel: { readonly now: number; readonly trace: Trace; note(server: number, text: string): void };
  after(ms: number, kind: string, run: () => void, detail?: number): unknown;
}

/** What a disk holds at one moment: files by path, and folders. Never changes. */
export interface DiskImage {
  readonly files: ReadonlyMap<string, FileImage>;
  readonly folders: ReadonlySet<string>;
}

/** How long operations take, in simulated ms, as the shortest and the longest; a fraction counts to a thousandth. */
export interface DiskLatency {
  /** Everything that is done by the system's cache. */
  readonly cached: readonly [min: number, max: number];
  /** Syncs of files and folders, and durable writes. */
  readonly durable: readonly [min: number, max: number];
}

/** What is left of what was not synced after a power loss: nothing, all of it, or each piece by chance. */
export type Remains = 'nothing' | 'all' | 'some';

type Answer<T> = (error: Error | null, value?: T) => void;

/** A change, as one step. */
interface Step {
  /** Such as `write /data/version-2/log.100000001`. */
  readonly line: string;
  readonly detail?: number;
  /** What the disk must know of to be full. */
  readonly needsSpace?: boolean;
  /** Why it cannot be done at all; then it is no step. */
  check?(): Error | null;
  apply(): void;
  /** A part of it, by chance, when the machine goes down in the middle. */
  tear?(): void;
  /** What is left when it fails with an error. */
  fail?(): void;
}

const keeps = (remains: Remains, chance: Chance | undefined): boolean =>
  remains === 'all' || (remains === 'some' && chance?.below(2) === 0);

const failure = (code: string, line: string): Error => Object.assign(new Error(`${code}: simulated disk, ${line}`), { code });

/**
 * A disk of a simulated machine. It tells what is durable from what is only visible: data counts after a sync of the file or a durable write, names after a sync of their
 * folder; a new folder is durable at once.
 *
 * Every operation takes a time that is drawn, those of one file keep their order, and each takes effect when that time is over. What is under way when the
 * machine goes down has happened, has not, or has happened by a part. Operations of a machine that is down are ignored, and nobody is told of the end of one that an earlier process began.
 */
export class SimDisk implements FileSystem {
  readonly #host: DiskHost;
  readonly #chance: Chance;
  readonly #delays: Chance;
  readonly #names = new DiskNames();
  readonly #folders = new Set<string>(['']);
  readonly #locks = new Set<string>();
  readonly #faults = new DiskFaults();
  readonly #listeners = new Set<(line: string) => void>();
  /** Operations under way, in the order in which they began. */
  readonly #flying = new Set<{ readonly step: Step | null }>();
  /** Counts what ends processes: a change while a step is under way means that nobody waits for it any more. */
  #ends = 0;
  #life: number;
  latency: DiskLatency = { cached: [0.01, 0.05], durable: [0.1, 1] };
  /** Whether files can be opened so that each write is durable. */
  durableWrites = true;
  /** While true, creates and writes fail with ENOSPC, a write perhaps after a part of it. */
  full = false;
  /** While true, syncs and durable writes say that they are done and make nothing durable. */
  lying = false;
  /** Files open now. */
  openFiles = 0;
  readonly counts: DiskCounts = { steps: 0, bytesWritten: 0, crashes: 0, EIO: 0, ENOSPC: 0, torn: 0, lost: 0, lied: 0, rot: 0 };

  /** @param image what it holds at first, durably; empty without */
  constructor(host: DiskHost, chance: Chance, image?: DiskImage) {
    this.#host = host;
    this.#life = host.life;
    this.#chance = chance.fork('faults');
    this.#delays = chance.fork('delays');
    if (image === undefined) return;
    for (const folder of image.folders) this.#folders.add(folder);
    for (const [path, file] of image.files) this.#names.set(path, new DiskFile(file));
  }

  // ---- faults ----

  /** Lets steps fail: those whose line matches, or those from the step on that comes as number `pattern` from now (1 is the next). */
  failOn(pattern: StepPattern, code: DiskFault, times = Number.POSITIVE_INFINITY): void {
    this.#faults.failOn(pattern, this.counts.steps, code, times);
  }

  /** Lets the next step fail. */
  failNext(code: DiskFault): void {
    this.failOn(1, code, 1);
  }

  /**
   * Calls `crash` at one moment of a step, once: of the next one whose line matches, or of the one that comes as number `pattern` from now. `crash` is meant to kill the process
   * and to call {@link crash}; if it does neither, the step goes on.
   */
  crashAt(pattern: StepPattern, moment: CrashMoment, crash: () => void): void {
    this.#faults.crashAt(pattern, this.counts.steps, moment, crash);
  }

  /** Tells the line of every step before it takes effect, also if it is going to fail. If the listener ends the process, the step does not happen. Returns what takes the listener away. */
  onStep(listener: (line: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Takes back every fault that was ordered: failures, crashes to come, {@link full} and {@link lying}. */
  heal(): void {
    this.#faults.clear();
    this.full = false;
    this.lying = false;
  }

  /**
   * The process has died, and its files and locks are closed. `process`: the system goes on, and keeps what it had in its cache. `power`: with the machine, so that what was not synced
   * is lost but for what `remains`, which is drawn if it is not given.
   */
  crash(how: 'process' | 'power', remains?: Remains): void {
    this.#life = this.#host.life;
    this.#ends++;
    this.counts.crashes++;
    this.#land();
    this.#locks.clear();
    this.openFiles = 0;
    if (how === 'process') return;
    const drawn = remains ?? this.#chance.pick<Remains>(['nothing', 'all', 'some', 'some']);
    const keep = (): boolean => {
      const kept = keeps(drawn, this.#chance);
      if (!kept) this.counts.lost++;
      return kept;
    };
    this.#names.losePower(keep);
    for (const file of new Set(this.#names.live.values())) file.losePower(keep);
  }

  /** Decides what has become of the steps that were under way. */
  #land(): void {
    for (const { step } of this.#flying) {
      if (step === null || (step.check?.() ?? null) !== null) continue;
      const fate = this.#chance.below(3);
      if (fate === 1) step.apply();
      else if (fate === 2 && step.tear !== undefined) this.#tear(step);
    }
    this.#flying.clear();
  }

  #tear(step: Step): void {
    this.counts.torn++;
    step.tear?.();
  }

  /** Flips one bit of what is durable in `path`, or in a file that is drawn. Undefined if there are no bytes. */
  rot(path?: string): { path: string; offset: number } | undefined {
    const names = [...this.#names.durable.keys()].filter((name) => path === undefined || name === path).sort();
    const candidates = names.filter((name) => (this.#names.durable.get(name) as DiskFile).durable.stored().length > 0);
    if (candidates.length === 0) return undefined;
    const chosen = this.#chance.pick(candidates);
    const { durable, live } = this.#names.durable.get(chosen) as DiskFile;
    const [from, to] = durable.range(this.#chance.pick(durable.stored()));
    const offset = this.#chance.between(from, to - 1);
    durable.flip(offset, this.#chance.below(8), live);
    this.counts.rot++;
    this.#note(`a bit rots in ${chosen} at ${offset}`);
    return { path: chosen, offset };
  }

  // ---- from outside ----

  /**
   * What a power loss at this moment would leave on it, at little cost; by default one that takes all that was not synced. Nothing changes but `chance`, which is needed if `some` remains.
   */
  image(remains: Remains = 'nothing', chance?: Chance): DiskImage {
    const keep = (): boolean => keeps(remains, chance);
    const files = new Map<string, FileImage>();
    for (const [path, file] of this.#names.survivors(keep)) files.set(path, file.survivor(keep));
    return { files, folders: new Set(this.#folders) };
  }

  /** Puts a file there, durably, with the folders above it. */
  put(path: string, bytes: Uint8Array): void {
    const file = new DiskFile();
    file.writeDurably(bytes, 0);
    this.#addFolder(folderOf(path));
    this.#names.set(path, file);
  }

  /** What a reader would see of a file; undefined if there is none. */
  get(path: string): Uint8Array | undefined {
    const file = this.#names.live.get(path);
    if (file === undefined) return undefined;
    const bytes = new Uint8Array(file.live.size);
    file.live.read(bytes, 0, bytes.length, 0);
    return bytes;
  }

  /** Takes away a file, or a folder with all that is in it, durably. */
  remove(path: string): void {
    const gone = (name: string): boolean => name === path || name.startsWith(`${path}/`);
    for (const name of [...this.#names.live.keys(), ...this.#names.durable.keys()]) if (gone(name)) this.#names.set(name, null);
    for (const folder of [...this.#folders]) if (gone(folder)) this.#folders.delete(folder);
  }

  /** Paths of all files in and below `folder`, sorted. */
  list(folder = ''): string[] {
    return [...this.#names.live.keys()].filter((path) => path.startsWith(`${folder}/`)).sort();
  }

  // ---- operations ----

  #coin = (): boolean => this.#chance.below(2) === 0;

  #note(text: string): void {
    this.#host.kernel.note(this.#host.id, `disk: ${text}`);
  }

  #addFolder(path: string): void {
    for (let at = path; at !== ''; at = folderOf(at)) this.#folders.add(at);
  }

  /** Runs `run` when a time that is drawn is over, unless the process has died by then. */
  #begin(file: DiskFile | null, speed: keyof DiskLatency, step: Step | null, run: () => void): void {
    const host = this.#host;
    if (!host.up) return;
    // Killed without a word to the disk: the machine has gone on.
    if (host.life !== this.#life) this.crash('process');
    const [min, max] = this.latency[speed];
    const { now } = host.kernel;
    let at = now + this.#delays.between(Math.round(min * 1000), Math.round(max * 1000)) / 1000;
    if (file !== null) {
      // A little more than not before, since adding and subtracting again may round.
      at = Math.max(at, file.busyUntil + 0.0005);
      file.busyUntil = at;
    }
    const flying = { step };
    this.#flying.add(flying);
    const landed = (): void => {
      if (this.#flying.delete(flying)) run();
    };
    host.after(at - now, 'disk', landed, step?.detail ?? 0);
  }

  /** Looks something up. */
  #look<T>(file: DiskFile | null, value: () => T | Error, done: Answer<T>): void {
    this.#begin(file, 'cached', null, () => {
      const found = value();
      if (found instanceof Error) done(found);
      else done(null, found);
    });
  }

  /** Makes one change, with the fault if one is due. */
  #change(file: DiskFile | null, speed: keyof DiskLatency, step: Step, done: FileDone): void {
    this.#begin(file, speed, step, () => {
      const refusal = step.check?.() ?? null;
      if (refusal !== null) return done(refusal);
      const { line } = step;
      const number = ++this.counts.steps;
      const ends = this.#ends;
      const { life } = this.#host;
      const isOver = (): boolean => this.#ends !== ends || this.#host.life !== life;
      this.#host.kernel.trace.mixText(line);
      for (const listener of [...this.#listeners]) {
        listener(line);
        if (isOver()) return;
      }
      const crash = this.#faults.takeCrash(line, number);
      if (crash?.moment === 'torn') this.#tear(step);
      if (crash !== null && crash.moment !== 'after') {
        crash.crash();
        if (isOver()) return;
      }
      const code = this.#faults.failure(line, number) ?? (this.full && step.needsSpace === true ? 'ENOSPC' : null);
      if (code === null) step.apply();
      else this.#fail(step, code);
      if (crash?.moment === 'after') {
        crash.crash();
        if (isOver()) return;
      }
      done(code === null ? null : failure(code, line));
    });
  }

  #fail(step: Step, code: DiskFault): void {
    this.counts[code]++;
    this.#note(`${code} at ${step.line}`);
    step.fail?.();
  }

  open(path: string, mode: OpenMode, done: (error: Error | null, file?: OpenFile) => void): void {
    const names = this.#names;
    if (mode === 'read' || mode === 'modify') {
      const find = (): OpenFile | Error => {
        const file = names.live.get(path);
        return file === undefined ? failure('ENOENT', `open ${path}`) : this.#handle(path, file, false);
      };
      this.#look(null, find, done);
      return;
    }
    const file = new DiskFile();
    const step: Step = {
      line: `create ${path}`,
      needsSpace: true,
      check: () => (names.live.has(path) ? failure('EEXIST', `create ${path}`) : this.#checkFolder(path)),
      apply: () => names.change({ path, file }),
    };
    const durable = mode === 'createDurable' && this.durableWrites;
    this.#change(null, 'cached', step, (error) => (error === null ? done(null, this.#handle(path, file, durable)) : done(error)));
  }

  #checkFolder(path: string): Error | null {
    return this.#folders.has(folderOf(path)) ? null : failure('ENOENT', `folder of ${path}`);
  }

  #handle(path: string, file: DiskFile, durableWrites: boolean): OpenFile {
    this.openFiles++;
    const ends = this.#ends;
    const { life } = this.#host;
    /** What a process that is gone has opened is closed. */
    const ifOpen = (act: () => void): void => {
      if (this.#ends === ends && this.#host.life === life) act();
    };
    return {
      durableWrites,
      read: (into, at, length, position, done) =>
        ifOpen(() =>
          this.#look(
            file,
            () => file.live.read(into, at, length, position),
            (error, count) => done(error, count ?? 0),
          ),
        ),
      write: (bytes, length, position, done) =>
        ifOpen(() => {
          const step = this.#write(path, file, durableWrites, bytes.subarray(0, length), position);
          this.#change(file, durableWrites ? 'durable' : 'cached', step, done);
        }),
      truncate: (size, done) =>
        ifOpen(() => this.#change(file, 'cached', { line: `truncate ${path}`, detail: size, apply: () => file.truncate(size) }, done)),
      datasync: (done) => ifOpen(() => this.#change(file, 'durable', this.#sync(path, file), done)),
      close: (done) =>
        ifOpen(() => {
          this.openFiles--;
          this.#look(file, () => null, done);
        }),
    };
  }

  #write(path: string, file: DiskFile, durableWrites: boolean, bytes: Uint8Array, position: number): Step {
    const write = (part: Uint8Array): void => {
      this.counts.bytesWritten += part.length;
      const durable = durableWrites && !this.lying;
      if (durableWrites && this.lying) this.counts.lied++;
      if (durable) file.writeDurably(part, position);
      else file.write(part, position);
    };
    /** The first part, not all of it. */
    const part = (least: number): Uint8Array =>
      bytes.subarray(0, this.#chance.between(Math.min(least, bytes.length - 1), bytes.length - 1));
    return {
      line: `write ${path}`,
      detail: bytes.length,
      needsSpace: true,
      apply: () => {
        this.#host.kernel.trace.mixBytes(bytes);
        write(bytes);
      },
      tear: () => write(part(1)),
      fail: () => {
        if (durableWrites) file.failWrite(part(0), position, this.#coin);
        else file.write(part(0), position);
      },
    };
  }

  #sync(path: string, file: DiskFile): Step {
    return {
      line: `sync ${path}`,
      apply: () => {
        if (this.lying) this.counts.lied++;
        else file.sync();
      },
      fail: () => file.failSync(this.#coin),
    };
  }

  readdir(path: string, done: (error: Error | null, names?: readonly string[]) => void): void {
    const list = (): readonly string[] | Error => {
      if (!this.#folders.has(path)) return failure('ENOENT', `list ${path}`);
      const all = [...this.#names.live.keys(), ...this.#folders].filter((name) => name !== '' && folderOf(name) === path);
      return this.#chance.shuffle(all.map((name) => name.slice(path.length + 1)));
    };
    this.#look(null, list, done);
  }

  stat(path: string, done: (error: Error | null, size?: number) => void): void {
    this.#look(null, () => this.#names.live.get(path)?.live.size ?? -1, done);
  }

  rename(from: string, to: string, done: FileDone): void {
    const names = this.#names;
    const step: Step = {
      line: `rename ${from} ${to}`,
      check: () => (names.live.has(from) ? this.#checkFolder(to) : failure('ENOENT', `rename ${from} ${to}`)),
      apply: () => names.change({ path: to, file: names.live.get(from) as DiskFile }, { path: from, file: null }),
    };
    this.#change(null, 'cached', step, done);
  }

  unlink(path: string, done: FileDone): void {
    const step: Step = {
      line: `unlink ${path}`,
      check: () => (this.#names.live.has(path) ? null : failure('ENOENT', `unlink ${path}`)),
      apply: () => this.#names.change({ path, file: null }),
    };
    this.#change(null, 'cached', step, done);
  }

  mkdir(path: string, done: FileDone): void {
    if (this.#folders.has(path)) this.#look(null, () => null, done);
    else this.#change(null, 'durable', { line: `mkdir ${path}`, needsSpace: true, apply: () => this.#addFolder(path) }, done);
  }

  fsyncDir(path: string, done: FileDone): void {
    const step: Step = {
      line: `syncDir ${path}`,
      check: () => (this.#folders.has(path) ? null : failure('ENOENT', `syncDir ${path}`)),
      apply: () => {
        if (this.lying) this.counts.lied++;
        else this.#names.sync(path);
      },
      fail: () => this.#names.sync(path, this.#coin),
    };
    this.#change(null, 'durable', step, done);
  }

  lock(path: string, done: (error: Error | null, unlock?: (done: FileDone) => void) => void): void {
    const take = (): ((unlocked: FileDone) => void) | Error => {
      if (this.#locks.has(path)) return failure('EBUSY', `${path} is in use`);
      this.#locks.add(path);
      const ends = this.#ends;
      return (unlocked) =>
        this.#look(
          null,
          () => {
            if (this.#ends === ends) this.#locks.delete(path);
            return null;
          },
          unlocked,
        );
    };
    this.#look(null, take, done);
  }
}
