/** The root is "" inside the tree and "/" everywhere outside. */
export const inner = (path: string): string => (path === '/' ? '' : path);
export const outer = (path: string): string => (path === '' ? '/' : path);

/** The path before the last slash: the parent in inner form. `path` is an inner path other than the root. */
export const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));

/** Whether a path can be that of a znode other than the root, at all: what comes out of a log or a snapshot is checked no further. */
export const isBelowRoot = (path: string): boolean => path.length > 1 && path.charCodeAt(0) === 0x2f;

/** A znode that no request may delete (PROTOCOL 7). */
export const isSpecial = (path: string): boolean =>
  path === '/' || path === '/zookeeper' || path === '/zookeeper/quota' || path === '/zookeeper/config';

/** Whether a UTF-16 unit may not stand in a path (PROTOCOL 8). */
const isForbiddenUnit = (c: number): boolean => c <= 0x1f || (c >= 0x7f && c <= 0x9f) || (c >= 0xd800 && c <= 0xf8ff) || c >= 0xfff0;

const SLASH = 0x2f;
const DOT = 0x2e;

/** What is wrong with `path` as the full name of a znode (PROTOCOL 8), or null when nothing is. */
export function pathProblem(path: string): string | null {
  const length = path.length;
  if (length === 0) return 'path is empty';
  if (path.charCodeAt(0) !== SLASH) return 'path does not begin with /';
  if (length === 1) return null;
  if (path.charCodeAt(length - 1) === SLASH) return 'path ends with /';
  let start = 1;
  for (let i = 1; i <= length; i++) {
    const c = i === length ? SLASH : path.charCodeAt(i);
    if (c === SLASH) {
      if (i === start) return `empty component at ${start}`;
      if (path.charCodeAt(start) === DOT && (i === start + 1 || (i === start + 2 && path.charCodeAt(start + 1) === DOT))) {
        return `relative component at ${start}`;
      }
      start = i + 1;
    } else if (c < 0x30 || c > 0x7e) {
      if (isForbiddenUnit(c)) return `forbidden character at ${i}`;
    }
  }
  return null;
}

/** The suffix of a sequential znode's name: ten characters, a minus sign included (PROTOCOL 5.1). */
export function sequenceSuffix(counter: number): string {
  return counter >= 0 ? String(counter).padStart(10, '0') : `-${String(-counter).padStart(9, '0')}`;
}
