import type { FileDone, FileSystem, OpenFile, OpenMode } from '../../src/seams/file-system.ts';

/** What happens at one step of a {@link ModelDisk}. `crash`: the machine stops before it; `torn`: in the middle of it. */
export type Fault = 'crash' | 'torn' | 'EIO' | 'ENOSPC';

/** What is left after a crash of what was not synced: nothing, all of it, or some. */
export type Remains = 'nothing' | 'all' | 'some';

interface Inode {
  /** As it is after a crash that loses what was not synced. */
  durable: Buffer;
  /** As a reader sees it. */
  live: Buffer;
}

/** Changes of names that happen together: a name gets an inode, or null, and is gone. */
type Change = readonly { readonly path: string; readonly inode: Inode | null }[];

function apply(change: Change, names: Map<string, Inode>): void {
  for (const { path, inode } of change) {
    if (inode === null) names.delete(path);
    else names.set(path, inode);
  }
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: made to fail, ${path}`), { code });
}

/**
 * A disk in memory that tells what is durable from what is only visible: data counts after a sync of the file, names after a sync of the folder. Every change
 * is one step, and at one chosen step a fault happens.
 */
export class ModelDisk implements FileSystem {
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  #pending: Change[] = [];
  #locked = new Set<string>();
  #dead = false;
  /** Files open now. */
  openFiles = 0;
  /** Changes made so far. */
  steps = 0;
  /** Whether files can be opened so that each write is durable. */
  durableWrites = true;
  /** The fault has happened. */
  failed = false;
  /** What each step was. */
  readonly journal: string[] = [];
  #faultAt = -1;
  #match: RegExp | null = null;
  #fault: Fault = 'crash';
  #lasting = false;
  onCrash: () => void = () => {};
  #seed = 1;

  /** The fault comes at the step with this number, counted from 1 for the next one; `lasting`: and at every step after it. */
  failAt(step: number, fault: Fault, lasting = false): void {
    this.#faultAt = this.steps + step;
    this.#fault = fault;
    this.#lasting = lasting;
  }

  /** The fault comes at the first step whose line in the journal matches, and at every one after it. */
  failOn(step: RegExp, fault: Fault): void {
    this.#match = step;
    this.#fault = fault;
  }

  heal(): void {
    this.#match = null;
    this.#faultAt = -1;
    this.#lasting = false;
  }

  /** The disk as the next start finds it. */
  afterCrash(remains: Remains, seed = 1): ModelDisk {
    const next = new ModelDisk();
    next.#seed = seed;
    const chance = () => remains === 'all' || (remains === 'some' && next.#random() < 0.5);
    const names = new Map(this.#durableNames);
    for (const change of this.#pending) if (chance()) apply(change, names);
    for (const [path, inode] of names) next.put(path, chance() ? inode.live : inode.durable);
    return next;
  }

  /** Puts a file there, durably. */
  put(path: string, bytes: Uint8Array): void {
    const inode = { durable: Buffer.from(bytes), live: Buffer.from(bytes) };
    this.#names.set(path, inode);
    this.#durableNames.set(path, inode);
  }

  get(path: string): Buffer | undefined {
    return this.#names.get(path)?.live;
  }

  /** Names of all files. */
  list(): string[] {
    return [...this.#names.keys()].sort();
  }

  #random(): number {
    this.#seed = (this.#seed * 1103515245 + 12345) & 0x7fffffff;
    return this.#seed / 0x80000000;
  }

  /**
   * Makes one change, with the fault if it is its turn. `tear` makes half of it.
   */
  #step(what: string, path: string, change: () => void, done: FileDone, tear: () => void = () => {}): void {
    if (this.#dead) return;
    this.steps++;
    this.journal.push(`${what} ${path}`);
    const isAfter = this.#lasting && this.#faultAt > 0 && this.steps > this.#faultAt;
    const isDue = this.steps === this.#faultAt || isAfter || this.#match?.test(`${what} ${path}`);
    const fault = isDue ? this.#fault : null;
    if (fault !== null) this.failed = true;
    if (fault === 'crash' || fault === 'torn') {
      if (fault === 'torn') tear();
      this.#dead = true;
      setImmediate(this.onCrash);
      return;
    }
    if (fault !== null) {
      tear();
      setImmediate(() => this.#answer(() => done(failure(fault, path))));
      return;
    }
    change();
    setImmediate(() => this.#answer(() => done(null)));
  }

  #answer(answer: () => void): void {
    if (!this.#dead) answer();
  }

  #read<T>(value: () => T, done: (error: Error | null, value?: T) => void): void {
    if (this.#dead) return;
    setImmediate(() =>
      this.#answer(() => {
        let found: T;
        try {
          found = value();
        } catch (error) {
          done(error as Error);
          return;
        }
        done(null, found);
      }),
    );
  }

  #enter(change: Change): void {
    apply(change, this.#names);
    this.#pending.push(change);
  }

  open(path: string, mode: OpenMode, done: (error: Error | null, file?: OpenFile) => void): void {
    const inode = this.#names.get(path);
    const durable = mode === 'createDurable' && this.durableWrites;
    if (mode === 'read' || mode === 'modify') {
      this.#read(() => {
        if (inode === undefined) throw failure('ENOENT', path);
        return this.#handle(path, inode, false);
      }, done);
      return;
    }
    if (inode !== undefined) {
      this.#read((): OpenFile => {
        throw failure('EEXIST', path);
      }, done);
      return;
    }
    const created = { durable: Buffer.alloc(0), live: Buffer.alloc(0) };
    const change = () => this.#enter([{ path, inode: created }]);
    this.#step('create', path, change, (error) => (error ? done(error) : done(null, this.#handle(path, created, durable))));
  }

  #handle(path: string, inode: Inode, durableWrites: boolean): OpenFile {
    this.openFiles++;
    const write = (bytes: Uint8Array, position: number): void => {
      const size = Math.max(inode.live.length, position + bytes.length);
      const live = Buffer.alloc(size);
      inode.live.copy(live);
      live.set(bytes, position);
      inode.live = live;
    };
    const sync = (): void => {
      inode.durable = Buffer.from(inode.live);
    };
    return {
      durableWrites,
      read: (into, at, length, position, done) =>
        this.#read(
          () => inode.live.copy(into, at, position, Math.min(inode.live.length, position + length)),
          (error, count) => done(error, count ?? 0),
        ),
      write: (bytes, length, position, done) => {
        const copy = Buffer.from(bytes.subarray(0, length));
        const change = (): void => {
          write(copy, position);
          if (durableWrites) sync();
        };
        const tear = (): void => {
          write(copy.subarray(0, copy.length >> 1), position);
          if (durableWrites) sync();
        };
        this.#step('write', path, change, done, tear);
      },
      truncate: (size, done) => {
        const change = (): void => {
          const live = Buffer.alloc(size);
          inode.live.copy(live);
          inode.live = live;
        };
        this.#step('truncate', path, change, done);
      },
      datasync: (done) => this.#step('sync', path, sync, done),
      close: (done) => {
        this.openFiles--;
        this.#read(
          () => undefined,
          (error) => done(error),
        );
      },
    };
  }

  readdir(path: string, done: (error: Error | null, names?: readonly string[]) => void): void {
    const prefix = `${path}/`;
    this.#read(
      () =>
        this.list()
          .filter((name) => name.startsWith(prefix) && !name.slice(prefix.length).includes('/'))
          .map((name) => name.slice(prefix.length)),
      done,
    );
  }

  stat(path: string, done: (error: Error | null, size?: number) => void): void {
    this.#read(() => this.#names.get(path)?.live.length ?? -1, done);
  }

  rename(from: string, to: string, done: FileDone): void {
    const change = (): void => {
      const inode = this.#names.get(from);
      if (inode === undefined) throw new Error(`${from} is not there to be renamed`);
      this.#enter([
        { path: to, inode },
        { path: from, inode: null },
      ]);
    };
    this.#step('rename', `${from} ${to}`, change, done);
  }

  unlink(path: string, done: FileDone): void {
    if (!this.#names.has(path)) {
      this.#read(
        () => {
          throw failure('ENOENT', path);
        },
        (error) => done(error),
      );
      return;
    }
    this.#step('unlink', path, () => this.#enter([{ path, inode: null }]), done);
  }

  mkdir(_path: string, done: FileDone): void {
    this.#read(
      () => undefined,
      (error) => done(error),
    );
  }

  fsyncDir(path: string, done: FileDone): void {
    const inside = (change: Change): boolean => change.some((name) => name.path.slice(0, name.path.lastIndexOf('/')) === path);
    const change = (): void => {
      for (const pending of this.#pending.filter(inside)) apply(pending, this.#durableNames);
      this.#pending = this.#pending.filter((pending) => !inside(pending));
    };
    this.#step('syncDir', path, change, done);
  }

  lock(path: string, done: (error: Error | null, unlock?: (done: FileDone) => void) => void): void {
    this.#read(() => {
      if (this.#locked.has(path)) throw new Error(`${path} is in use`);
      this.#locked.add(path);
      return (unlocked: FileDone): void => {
        this.#locked.delete(path);
        this.#read(
          () => undefined,
          (error) => unlocked(error),
        );
      };
    }, done);
  }
}
