import { FileContent, type FileImage } from './disk-content.ts';

/** What a disk writes at once: a power loss keeps or loses such a piece as a whole. */
const SECTOR = 512;

/** A change that is not durable yet: bytes at a place, or a new size. */
type Change = { readonly bytes: Uint8Array; readonly position: number } | { readonly size: number };

const EMPTY: FileImage = { size: 0, pages: new Map() };

/** A file of a {@link SimDisk}: as a reader sees it, as it is after a power loss, and the changes in between. */
export class DiskFile {
  live: FileContent;
  durable: FileContent;
  #changes: Change[] = [];
  /** When the last operation on it that is under way will be done, simulated ms. */
  busyUntil = 0;

  constructor(image: FileImage = EMPTY) {
    this.durable = new FileContent(image);
    this.live = new FileContent(image);
  }

  write(bytes: Uint8Array, position: number): void {
    this.live.write(bytes, position);
    // A copy: `slice` of a Buffer would be a view.
    this.#changes.push({ bytes: new Uint8Array(bytes), position });
  }

  /** A write that is durable when it is done; with it goes all that came before. */
  writeDurably(bytes: Uint8Array, position: number): void {
    this.live.write(bytes, position);
    this.sync();
  }

  truncate(size: number): void {
    this.live.truncate(size);
    this.#changes.push({ size });
  }

  sync(): void {
    this.durable.follow(this.live);
    this.#changes = [];
  }

  /** A durable write that failed after a part of it. */
  failWrite(bytes: Uint8Array, position: number, keep: () => boolean): void {
    this.write(bytes, position);
    this.failSync(keep);
  }

  /**
   * A sync that failed: `keep` decides for each piece whether it became durable. The system takes all of them for clean from now on, as Linux does, so a
   * later sync that succeeds brings none of them to the disk.
   */
  failSync(keep: () => boolean): void {
    this.#keepSome(keep);
    this.live.touched.clear();
  }

  /** What {@link losePower} would leave. */
  survivor(keep: () => boolean): FileImage {
    const image = this.durable.image();
    if (this.#changes.length === 0) return image;
    const copy = new DiskFile(image);
    copy.#changes = this.#changes;
    copy.#keepSome(keep);
    return copy.durable.image();
  }

  /** What was not synced is lost, but for the pieces that `keep` decides for. */
  losePower(keep: () => boolean): void {
    this.#keepSome(keep);
    this.live = new FileContent(this.durable.image());
  }

  #keepSome(keep: () => boolean): void {
    for (const change of this.#changes) {
      if ('size' in change) {
        if (keep()) this.durable.truncate(change.size);
        continue;
      }
      const { bytes, position } = change;
      for (let at = 0; at < bytes.length; ) {
        const end = Math.min(bytes.length, at + SECTOR - ((position + at) % SECTOR));
        if (keep()) this.durable.write(bytes.subarray(at, end), position + at);
        at = end;
      }
    }
    this.#changes = [];
    this.durable.touched.clear();
  }
}

/** A change of names: a path gets a file, or null, and is gone. */
export interface NameChange {
  readonly path: string;
  readonly file: DiskFile | null;
}

export const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));

/** The names on a disk: as they are seen, as they are after a power loss, and the changes in between. */
export class DiskNames {
  live = new Map<string, DiskFile>();
  durable = new Map<string, DiskFile>();
  /** Changes that happen together stand together. */
  #pending: (readonly NameChange[])[] = [];

  change(...changes: NameChange[]): void {
    enter(changes, this.live);
    this.#pending.push(changes);
  }

  /** A durable change from outside of the simulated system. */
  set(path: string, file: DiskFile | null): void {
    this.#pending = this.#pending.map((changes) => changes.filter((change) => change.path !== path));
    enter([{ path, file }], this.live);
    enter([{ path, file }], this.durable);
  }

  /** The names in `folder` are durable, or, if the sync failed, the first of them up to where `keep` says no; a later sync takes the others. */
  sync(folder: string, keep: () => boolean = () => true): void {
    let goesOn = true;
    this.#pending = this.#pending.filter((changes) => {
      if (!goesOn || !changes.some(({ path }) => folderOf(path) === folder)) return true;
      goesOn = keep();
      if (goesOn) enter(changes, this.durable);
      return !goesOn;
    });
  }

  /** What {@link losePower} would leave. */
  survivors(keep: () => boolean): Map<string, DiskFile> {
    const names = new Map(this.durable);
    for (const changes of this.#pending) if (keep()) enter(changes, names);
    return names;
  }

  losePower(keep: () => boolean): void {
    this.durable = this.survivors(keep);
    this.#pending = [];
    this.live = new Map(this.durable);
  }
}

function enter(changes: readonly NameChange[], names: Map<string, DiskFile>): void {
  for (const { path, file } of changes) {
    if (file === null) names.delete(path);
    else names.set(path, file);
  }
}
