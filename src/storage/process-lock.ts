import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { basename, dirname } from 'node:path';
import type { FileDone } from '../seams/file-system.ts';

/*
 * A lock is a file whose name tells its process, and what tells that process from a later one of the same number: kill -9 leaves the file behind, and in
 * a container the next process has the same pid. Who wants the lock makes its file first and then looks for files of others that live: of two at the same time
 * at least one sees the other and withdraws. As each file has a name of its own, clearing away the file of a dead process can never hit a new one.
 *
 * It guards within one host; it knows nothing of processes in another pid namespace.
 */

interface Holder {
  readonly pid: number;
  /** When it started, in ticks since boot, and the boot's id; '0' where the system does not tell. */
  readonly started: string;
  readonly boot: string;
}

/** Takes the lock `path`, or fails with an error that names the process holding it. */
export function takeLock(path: string, done: (error: Error | null, unlock?: (done: FileDone) => void) => void): void {
  const { pid } = process;
  const mine = `${path}.${pid}.${startOf(pid)}.${bootId()}.${randomBytes(6).toString('hex')}`;
  fs.writeFile(mine, '', { flag: 'wx' }, (error) => {
    if (error !== null) return done(error);
    findHolder(path, mine, (lookError, holder) => {
      if (lookError === null && holder === null) return done(null, (unlocked) => fs.unlink(mine, unlocked));
      const refusal = lookError ?? new Error(`${path}: the data directory is in use by process ${holder?.pid}`);
      fs.unlink(mine, () => done(refusal));
    });
  });
}

/** Looks for a living process that has a file for the lock, other than `mine`, and removes the files of dead ones. */
function findHolder(path: string, mine: string, done: (error: Error | null, holder: Holder | null) => void): void {
  const folder = dirname(path);
  fs.readdir(folder, (error, names) => {
    if (error !== null) return done(error, null);
    for (const name of names) {
      const file = `${folder}/${name}`;
      const holder = parse(name, basename(path));
      if (holder === undefined || name === basename(mine)) continue;
      if (isAlive(holder)) return done(null, holder);
      // If it cannot be removed now, the next to look will try again.
      fs.unlink(file, () => {});
    }
    done(null, null);
  });
}

function parse(name: string, lock: string): Holder | undefined {
  if (!name.startsWith(`${lock}.`)) return undefined;
  const [, pid, started, boot] = /^(\d+)\.(\d+)\.([\da-f-]+)\.[\da-f]+$/.exec(name.slice(lock.length + 1)) ?? [];
  return pid === undefined ? undefined : { pid: Number(pid), started, boot };
}

function isAlive(holder: Holder): boolean {
  const boot = bootId();
  if (holder.boot !== UNKNOWN && boot !== UNKNOWN && holder.boot !== boot) return false;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    // EPERM: there is such a process, of somebody else.
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const started = startOf(holder.pid);
  if (started === GONE) return false;
  return started === UNKNOWN || holder.started === UNKNOWN || started === holder.started;
}

const UNKNOWN = '0';
/** A process that has ended and that its parent has not yet asked after. */
const GONE = 'gone';

/** When a process started, in ticks since boot: field 22 of its stat line, counted behind the name, which may hold anything. */
function startOf(pid: number): string {
  const stat = readText(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? GONE : (fields[19] ?? UNKNOWN);
}

const bootId = (): string => readText('/proc/sys/kernel/random/boot_id').trim() || UNKNOWN;

function readText(path: string): string {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
