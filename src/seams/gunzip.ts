/** Unpacks one stream of gzip data, piece by piece. Every callback comes exactly once, never before the call has returned. */
export interface Gunzip {
  /** Unpacks some more; `done` when there is room for the next. `chunk` must not change until then. */
  push(chunk: Uint8Array, done: (error: Error | null) => void): void;
  /** The data is complete; `done` when everything has been unpacked and taken. */
  end(done: (error: Error | null) => void): void;
  /** Gives back what it holds; after that no callback comes. */
  close(): void;
}

/**
 * Begins a stream; `take` gets the unpacked bytes in order. An error of `take` ends the stream and is given on as it is; bad data is a {@link GunzipError}.
 */
export type NewGunzip = (take: (chunk: Uint8Array) => void) => Gunzip;

/** The data cannot be unpacked. */
export class GunzipError extends Error {
  override readonly name = 'GunzipError';

  /** @param incomplete the data is good as far as it goes, and just ends */
  constructor(
    message: string,
    readonly incomplete: boolean,
  ) {
    super(message);
  }
}
