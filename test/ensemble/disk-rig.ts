import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loopbackServers } from '../../examples/support/ports.ts';
import { fileStorage, type ServerSpec, type Storage, type Transport, tcpTransport } from '../../src/index.ts';
import type { FileDone, FileSystem, OpenFile } from '../../src/seams/file-system.ts';
import { nodeFileSystem } from '../../src/storage/node-file-system.ts';
import { Rig, type RigOptions } from './rig.ts';

/** Names an operation on a path that shall fail, by the system's code for the error; null lets it be done. */
export type Fault = (operation: 'open' | 'write' | 'truncate' | 'datasync' | 'rename' | 'fsyncDir', path: string) => string | null;

/** The real file system with faults. */
export class FaultyFileSystem implements FileSystem {
  fault: Fault | null = null;
  /** Faults that were met. */
  hits = 0;
  readonly #real = nodeFileSystem();
  readonly readdir = this.#real.readdir;
  readonly stat = this.#real.stat;
  readonly unlink = this.#real.unlink;
  readonly mkdir = this.#real.mkdir;
  readonly lock = this.#real.lock;

  /** Does `real`, or fails in a later turn. */
  guard<D extends (error: Error | null, ...rest: never[]) => void>(
    operation: Parameters<Fault>[0],
    path: string,
    done: D,
    real: () => void,
  ): void {
    const code = this.fault?.(operation, path) ?? null;
    if (code === null) return real();
    this.hits++;
    setImmediate(() =>
      (done as (error: Error) => void)(Object.assign(new Error(`${code}: made to fail, ${operation} '${path}'`), { code })),
    );
  }

  open: FileSystem['open'] = (path, mode, done) => {
    const opened = (error: Error | null, file?: OpenFile): void => {
      if (error !== null || file === undefined) done(error);
      else done(null, new FaultyFile(this, path, file));
    };
    if (mode === 'read') this.#real.open(path, mode, opened);
    else this.guard('open', path, done, () => this.#real.open(path, mode, opened));
  };

  rename: FileSystem['rename'] = (from, to, done) => this.guard('rename', to, done, () => this.#real.rename(from, to, done));
  fsyncDir: FileSystem['fsyncDir'] = (path, done) => this.guard('fsyncDir', path, done, () => this.#real.fsyncDir(path, done));
}

class FaultyFile implements OpenFile {
  constructor(
    readonly fs: FaultyFileSystem,
    readonly path: string,
    readonly real: OpenFile,
  ) {}

  /** As on a system where a sync is a call of its own, so that it can fail. */
  readonly durableWrites = false;

  read: OpenFile['read'] = (...args) => this.real.read(...args);
  write: OpenFile['write'] = (bytes, length, position, done) =>
    this.fs.guard('write', this.path, done, () => this.real.write(bytes, length, position, done));
  truncate = (size: number, done: FileDone): void => this.fs.guard('truncate', this.path, done, () => this.real.truncate(size, done));
  datasync = (done: FileDone): void => this.fs.guard('datasync', this.path, done, () => this.real.datasync(done));
  close = (done: FileDone): void => this.real.close(done);
}

export interface DiskRigOptions extends RigOptions {
  /** A network that can be cut. @default 'tcp' */
  readonly wire?: 'tcp' | 'memory';
}

/** Replicas in this process as in production: a data directory each, and TCP on loopback unless the test wants to cut the network. */
export class DiskRig extends Rig {
  readonly folder: string;
  readonly disks = new Map<number, FaultyFileSystem>();
  readonly #wire: 'tcp' | 'memory';

  private constructor({ wire = 'tcp', ...options }: DiskRigOptions, servers: readonly ServerSpec[], folder: string) {
    super({ ...options, servers });
    this.folder = folder;
    this.#wire = wire;
  }

  static async create({ observers = 0, ...options }: DiskRigOptions): Promise<DiskRig> {
    const servers = await loopbackServers(options.voters + observers);
    const folder = await mkdtemp(join(tmpdir(), 'zab-ensemble-'));
    const roles = servers.map((s, k) => ({ ...s, role: k < options.voters ? ('participant' as const) : ('observer' as const) }));
    return new DiskRig(options, roles, folder);
  }

  dataDir(id: number): string {
    return join(this.folder, String(id));
  }

  disk(id: number): FaultyFileSystem {
    const disk = this.disks.get(id) ?? new FaultyFileSystem();
    this.disks.set(id, disk);
    return disk;
  }

  protected override newStorage(id: number): Storage {
    return fileStorage({ dataDir: this.dataDir(id), fs: this.disk(id), preAllocSize: 64 * 1024 });
  }

  protected override newTransport(): Transport {
    return this.#wire === 'tcp' ? tcpTransport() : super.newTransport();
  }

  /** Takes away everything that a server has stored. */
  async wipe(id: number): Promise<void> {
    await rm(this.dataDir(id), { recursive: true, force: true });
  }

  async close(): Promise<void> {
    for (const disk of this.disks.values()) disk.fault = null;
    this.network.heal();
    await this.stopAll();
    await rm(this.folder, { recursive: true, force: true });
  }
}
