/**
 * The one adapter around the host's byte primitives, so that the layers above run in Node and in a browser.
 * In Node, `Buffer`'s native string transcoders do the work; elsewhere plain loops and TextEncoder do.
 */
declare const octetsBrand: unique symbol;

/**
 * A byte string: an immutable JavaScript string in which every UTF-16 unit is one byte (0..255).
 * Znode data lives in this form: V8 keeps it as one small heap object (a 100-byte value takes 120 bytes, a Buffer about 300), it
 * pins no socket chunk, and an application can never write into it.
 */
export type Octets = string & { readonly [octetsBrand]: true };

interface NativeBuffer extends Uint8Array {
  latin1Slice(start: number, end: number): string;
  latin1Write(text: string, offset: number): number;
  utf8Slice(start: number, end: number): string;
  utf8Write(text: string, offset: number): number;
}

const host = globalThis as unknown as {
  Buffer?: {
    allocUnsafeSlow(n: number): NativeBuffer;
    from: { (b: ArrayBufferLike, o: number, n: number): NativeBuffer; (text: string, encoding: 'latin1'): NativeBuffer };
    prototype: object;
  };
};
const native = host.Buffer !== undefined && 'latin1Slice' in host.Buffer.prototype ? host.Buffer : undefined;

/** A new byte array of `size` bytes. In Node it is a Buffer of its own (not pooled) and not zeroed. */
export function allocBytes(size: number): Uint8Array {
  return native === undefined ? new Uint8Array(size) : native.allocUnsafeSlow(size);
}

/** A view over the same memory that the functions of this file can work on: in Node a Buffer. */
export function asBytes(view: Uint8Array): Uint8Array {
  if (native === undefined || 'latin1Slice' in view) return view;
  return native.from(view.buffer, view.byteOffset, view.byteLength);
}

const sliceLatin1Native = (b: Uint8Array, start: number, end: number): string => (b as NativeBuffer).latin1Slice(start, end);
function sliceLatin1Portable(b: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; at += 8192) {
    text += String.fromCharCode(...b.subarray(at, Math.min(end, at + 8192)));
  }
  return text;
}
/** Bytes `start..end` of `b` as {@link Octets}. `b` must come from {@link allocBytes} or {@link asBytes}. */
export const readOctets = (native ? sliceLatin1Native : sliceLatin1Portable) as (b: Uint8Array, start: number, end: number) => Octets;

const writeLatin1Native = (b: Uint8Array, text: string, at: number): void => void (b as NativeBuffer).latin1Write(text, at);
function writeLatin1Portable(b: Uint8Array, text: string, at: number): void {
  for (let i = 0; i < text.length; i++) b[at + i] = text.charCodeAt(i);
}
const writeLatin1 = native ? writeLatin1Native : writeLatin1Portable;
/** Writes `octets` into `b` at `at`; the caller has made room for `octets.length` bytes. Short ones skip the native call. */
export function writeOctets(b: Uint8Array, octets: string, at: number): void {
  if (octets.length > 24) return writeLatin1(b, octets, at);
  for (let i = 0; i < octets.length; i++) b[at + i] = octets.charCodeAt(i);
}

const decoder = new TextDecoder();
const encoder = new TextEncoder();
/** Bytes `start..end` of `b` decoded as UTF-8 (malformed input becomes U+FFFD). */
export const readUtf8: (b: Uint8Array, start: number, end: number) => string = native
  ? (b, start, end) => (b as NativeBuffer).utf8Slice(start, end)
  : (b, start, end) => decoder.decode(b.subarray(start, end));

/**
 * Writes `text` as UTF-8 at `at` and returns the number of bytes. The caller has made room for `3 * text.length` bytes.
 */
export function writeUtf8(b: Uint8Array, text: string, at: number): number {
  const length = text.length;
  if (length <= 48) {
    let i = 0;
    for (; i < length; i++) {
      const c = text.charCodeAt(i);
      if (c > 0x7f) break;
      b[at + i] = c;
    }
    if (i === length) return length;
  }
  if (native) return (b as NativeBuffer).utf8Write(text, at);
  return encoder.encodeInto(text, b.subarray(at)).written;
}

/** The bytes of a view as {@link Octets}: a copy, independent of the view from then on. */
export function octetsFromBytes(view: Uint8Array): Octets {
  return readOctets(asBytes(view), 0, view.byteLength);
}

/** The UTF-8 form of a text as {@link Octets}. */
export function octetsFromText(text: string): Octets {
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 0x7f) return octetsFromBytes(encoder.encode(text));
  }
  return text as Octets;
}

/**
 * A fresh byte array with the value of `octets`. In Node it is a Buffer as `Buffer.from` makes it: small ones share a block of 8 KiB, which costs a third of memory of
 * their own.
 */
export const octetsToBytes: (octets: Octets) => Uint8Array = native
  ? (octets) => native.from(octets, 'latin1')
  : (octets) => {
      const out = allocBytes(octets.length);
      writeOctets(out, octets, 0);
      return out;
    };

/** `octets` decoded as UTF-8. */
export function octetsToText(octets: Octets): string {
  for (let i = 0; i < octets.length; i++) {
    if (octets.charCodeAt(i) > 0x7f) return decoder.decode(octetsToBytes(octets));
  }
  return octets;
}
