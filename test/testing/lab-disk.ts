import { type FileStorageOptions, fileStorage } from '../../src/storage/file-storage.ts';
import { Chance } from '../../src/testing/chance.ts';
import { type DiskImage, SimDisk } from '../../src/testing/disk.ts';
import { Kernel } from '../../src/testing/kernel.ts';
import { Machine } from '../../src/testing/machine.ts';
import { StorageCalls } from '../../src/testing/storage-kit.ts';
import { Trace } from '../../src/testing/trace.ts';

/** A simulated disk in a machine of its own. */
export class LabDisk extends SimDisk {
  readonly machine: Machine;
  /** The line of every step. */
  readonly journal: string[] = [];

  constructor(seed = 1, image?: DiskImage) {
    const machine = new Machine(new Kernel(new Trace(0), 1e9), 1);
    machine.boot();
    super(machine, new Chance(seed, 'disk'), image);
    this.machine = machine;
    this.onStep((line) => void this.journal.push(line));
  }

  get kernel(): Kernel {
    return this.machine.kernel;
  }

  get steps(): number {
    return this.counts.steps;
  }

  /** The process is killed. What its disk has not synced is there as long as the machine is. */
  kill(): void {
    this.machine.kill();
    this.crash('process');
  }

  /** A file storage on it. Time goes on while one of its promises is awaited. */
  storage(options: Omit<FileStorageOptions, 'fs'>): StorageCalls {
    return this.driven(new StorageCalls(fileStorage({ ...options, fs: this }), this.machine.clock));
  }

  /** `target`, whose promises let simulated time go on, and reject when the process is killed. */
  driven<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (_, key) => {
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          const result: unknown = Reflect.apply(value, target, args);
          return result instanceof Promise ? this.kernel.keepRunning(Promise.race([result, this.#death()])) : result;
        };
      },
    });
  }

  #death(): Promise<never> {
    return new Promise((_, reject) => void this.machine.onKill.add(() => reject(new Error('the process was killed'))));
  }
}
