/** Bytes per page of a simulated file: what is copied when a few bytes of shared content change. */
const PAGE = 4096;

/** The content of a file at one moment. Never changes; pages that are missing are all zeros. */
export interface FileImage {
  readonly size: number;
  readonly pages: ReadonlyMap<number, Uint8Array>;
}

/** The bytes of a file, in pages that are shared with images and other contents until one of them changes. Holes take no memory. */
export class FileContent {
  /** Bytes. */
  size: number;
  #pages: Map<number, Uint8Array>;
  /** Pages that nobody else has, so that they can be written in place. */
  readonly #own = new Set<number>();
  /** An image has the map too. */
  #shared = true;
  /** Pages changed since somebody last took over everything. */
  readonly touched = new Set<number>();

  constructor(image: FileImage) {
    this.size = image.size;
    this.#pages = image.pages as Map<number, Uint8Array>;
  }

  /** This moment's content, at the price of a few words. */
  image(): FileImage {
    this.#shared = true;
    this.#own.clear();
    return { size: this.size, pages: this.#pages };
  }

  /** Pages that are not just zeros, in ascending order. */
  stored(): number[] {
    return [...this.#pages.keys()].sort((a, b) => a - b);
  }

  /** Returns how many bytes there were to read. */
  read(into: Uint8Array, at: number, length: number, position: number): number {
    const count = Math.max(0, Math.min(length, this.size - position));
    for (let done = 0; done < count; ) {
      const from = (position + done) % PAGE;
      const part = Math.min(PAGE - from, count - done);
      const page = this.#pages.get(Math.floor((position + done) / PAGE));
      if (page === undefined) into.fill(0, at + done, at + done + part);
      else into.set(page.subarray(from, from + part), at + done);
      done += part;
    }
    return count;
  }

  write(bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length; ) {
      const from = (position + done) % PAGE;
      const part = Math.min(PAGE - from, bytes.length - done);
      this.#writable(Math.floor((position + done) / PAGE)).set(bytes.subarray(done, done + part), from);
      done += part;
    }
    this.size = Math.max(this.size, position + bytes.length);
  }

  /** Cuts the content, or extends it with zeros. */
  truncate(size: number): void {
    if (size < this.size) {
      const whole = Math.ceil(size / PAGE);
      for (const page of [...this.#pages.keys()]) if (page >= whole) this.#drop(page);
      if (size % PAGE > 0 && this.#pages.has(whole - 1)) this.#writable(whole - 1).fill(0, size % PAGE);
    }
    this.size = size;
  }

  /** Becomes like `other`, if it was so before the pages that `other` has touched. */
  follow(other: FileContent): void {
    for (const page of other.touched) this.#share(other, page);
    this.size = other.size;
    other.touched.clear();
  }

  /** Flips one bit here, and in `cached` too unless that page was written to since. */
  flip(offset: number, bit: number, cached: FileContent): void {
    const page = Math.floor(offset / PAGE);
    this.#writable(page)[offset % PAGE] ^= 1 << bit;
    if (!cached.touched.has(page)) cached.#share(this, page);
  }

  /** Bytes of page `page` that lie within the file, as the first and the one behind the last. */
  range(page: number): [from: number, to: number] {
    return [page * PAGE, Math.min(this.size, (page + 1) * PAGE)];
  }

  #share(other: FileContent, page: number): void {
    const bytes = other.#pages.get(page);
    other.#own.delete(page);
    this.#own.delete(page);
    if (bytes === undefined) this.#map().delete(page);
    else this.#map().set(page, bytes);
  }

  #drop(page: number): void {
    this.touched.add(page);
    this.#own.delete(page);
    this.#map().delete(page);
  }

  #map(): Map<number, Uint8Array> {
    if (this.#shared) this.#pages = new Map(this.#pages);
    this.#shared = false;
    return this.#pages;
  }

  #writable(page: number): Uint8Array {
    this.touched.add(page);
    let bytes = this.#pages.get(page);
    if (bytes !== undefined && this.#own.has(page)) return bytes;
    bytes = bytes === undefined ? new Uint8Array(PAGE) : bytes.slice();
    this.#map().set(page, bytes);
    this.#own.add(page);
    return bytes;
  }
}
