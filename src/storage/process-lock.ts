import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import type { FileDone } from '../seams/file-system.ts';

/*
 * A lock file that names the process holding it, with what tells that process from a later one of the same number: kill -9 leaves the file behind, and in a
 * container the next process has the same pid. It guards within one host; it knows nothing of processes in another pid namespace.
 */

/** `pid`, when it started in ticks since boot, and the boot's id; the last two are empty where the system does not tell. */
interface Holder {
  readonly pid: number;
  readonly started: string;
  readonly boot: string;
}

/** Takes the lock file `path`, or fails with an error that names the process holding it. */
export function takeLock(path: string, done: (error: Error | null, unlock?: (done: FileDone) => void) => void): void {
  const mine = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`;
  const self: Holder = { pid: process.pid, started: startOf(process.pid), boot: bootId() };
  const text = `${self.pid} ${self.started} ${self.boot}\n`;
  const finish = (error: Error | null): void => {
    fs.unlink(mine, () => (error === null ? done(null, (unlocked) => release(path, unlocked)) : done(error)));
  };
  // A link appears at once with its content, so nobody ever reads a half-written lock.
  const attempt = (left: number): void => {
    fs.link(mine, path, (error) => {
      if (error === null) return finish(null);
      if (error.code !== 'EEXIST') return finish(error);
      evictStale(path, (held) => {
        if (held === null && left > 0) attempt(left - 1);
        else finish(new Error(`${path}: the data directory is in use by process ${held?.pid ?? 'unknown'}`));
      });
    });
  };
  fs.writeFile(mine, text, { flag: 'wx' }, (error) => (error === null ? attempt(3) : done(error)));
}

function release(path: string, done: FileDone): void {
  fs.unlink(path, (error) => done(error?.code === 'ENOENT' ? null : error));
}

/** Removes the lock if its process is gone; `held` is who has it otherwise. */
function evictStale(path: string, done: (held: Holder | null) => void): void {
  fs.readFile(path, 'utf8', (readError, text) => {
    if (readError) return done(null);
    const holder = parse(text);
    if (holder === undefined || isAlive(holder)) return done(holder ?? { pid: 0, started: '', boot: '' });
    // Two takers may see the same stale file, and the slower must not take away what the faster has put there: move it aside, then look at what was moved.
    const aside = `${path}.stale.${process.pid}.${randomBytes(6).toString('hex')}`;
    fs.rename(path, aside, (renameError) => {
      if (renameError) return done(null);
      fs.readFile(aside, 'utf8', (error, moved) => {
        if (error === null && moved !== text) fs.link(aside, path, () => fs.unlink(aside, () => done(null)));
        else fs.unlink(aside, () => done(null));
      });
    });
  });
}

function parse(text: string): Holder | undefined {
  const [, pid, started, boot] = /^(\d+) (\d*) (\S*)\n$/.exec(text) ?? [];
  return pid === undefined ? undefined : { pid: Number(pid), started, boot };
}

function isAlive(holder: Holder): boolean {
  const boot = bootId();
  if (holder.boot !== '' && boot !== '' && holder.boot !== boot) return false;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    // EPERM: there is such a process, of somebody else.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const started = startOf(holder.pid);
  if (started === GONE) return false;
  return started === '' || holder.started === '' || started === holder.started;
}

/** A process that has ended and that its parent has not yet asked after. */
const GONE = 'gone';

/** When a process started, in ticks since boot: field 22 of its stat line, counted behind the name, which may hold anything. */
function startOf(pid: number): string {
  const stat = readText(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? GONE : (fields[19] ?? '');
}

const bootId = (): string => readText('/proc/sys/kernel/random/boot_id').trim();

function readText(path: string): string {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
