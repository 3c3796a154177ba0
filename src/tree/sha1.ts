import { octetsFromText } from '../util/bytes.ts';

const rotl = (x: number, n: number): number => (x << n) | (x >>> (32 - n));

/** One block of 64 bytes into the state `h`; `w` is room for 80 words of which the first 16 hold the block. */
function mixBlock(h: Int32Array, w: Int32Array): void {
  for (let i = 16; i < 80; i++) w[i] = rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
  let [a, b, c, d, e] = h;
  for (let i = 0; i < 80; i++) {
    const f = i < 20 ? (b & c) | (~b & d) : i < 40 || i >= 60 ? b ^ c ^ d : (b & c) | (b & d) | (c & d);
    const k = i < 20 ? 0x5a827999 : i < 40 ? 0x6ed9eba1 : i < 60 ? 0x8f1bbcdc : 0xca62c1d6;
    const t = (rotl(a, 5) + f + e + k + w[i]) | 0;
    e = d;
    d = c;
    c = rotl(b, 30);
    b = a;
    a = t;
  }
  h[0] += a;
  h[1] += b;
  h[2] += c;
  h[3] += d;
  h[4] += e;
}

/** SHA-1 of a text's UTF-8 bytes: 20 bytes. Only for digest ids, whose algorithm ZooKeeper fixed; not for anything new. */
export function sha1(text: string): Uint8Array {
  const octets = octetsFromText(text);
  const n = octets.length;
  const blocks = ((n + 8) >>> 6) + 1;
  const h = Int32Array.of(0x67452301, 0xefcdab89 | 0, 0x98badcfe | 0, 0x10325476, 0xc3d2e1f0 | 0);
  const w = new Int32Array(80);
  for (let block = 0; block < blocks; block++) {
    for (let i = 0; i < 16; i++) {
      let word = 0;
      for (let j = 0; j < 4; j++) {
        const at = block * 64 + i * 4 + j;
        word = (word << 8) | (at < n ? octets.charCodeAt(at) : at === n ? 0x80 : 0);
      }
      w[i] = word;
    }
    if (block === blocks - 1) {
      w[14] = Math.floor(n / 0x20000000);
      w[15] = n << 3;
    }
    mixBlock(h, w);
  }
  const out = new Uint8Array(20);
  for (let i = 0; i < 20; i++) out[i] = h[i >> 2] >>> (24 - 8 * (i & 3));
  return out;
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Base64 with padding. */
export function base64(bytes: Uint8Array): string {
  let out = '';
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i;
    const bits = (bytes[i] << 16) | ((left > 1 ? bytes[i + 1] : 0) << 8) | (left > 2 ? bytes[i + 2] : 0);
    out += ALPHABET[bits >>> 18] + ALPHABET[(bits >>> 12) & 63];
    out += left > 1 ? ALPHABET[(bits >>> 6) & 63] : '=';
    out += left > 2 ? ALPHABET[bits & 63] : '=';
  }
  return out;
}

/**
 * The id under scheme `digest` of `user:password` (PROTOCOL 9): `user:` and the base64 of the SHA-1 of the whole text. Without a colon the whole text is the user.
 */
export function digestId(userPassword: string): string {
  const colon = userPassword.indexOf(':');
  const user = colon === -1 ? userPassword : userPassword.slice(0, colon);
  return `${user}:${base64(sha1(userPassword))}`;
}
