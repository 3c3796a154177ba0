/** One setting of a properties file. */
export interface Property {
  readonly key: string;
  /** Without blanks at its ends, as ZooKeeper takes every value. */
  readonly value: string;
  /** Where its key stands, from 1. */
  readonly line: number;
}

interface LogicalLine {
  readonly text: string;
  readonly line: number;
}

const BLANKS = ' \t\f';
const ESCAPED: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' };

/**
 * Reads the syntax of Java's `Properties.load`: comments begin with `#` or `!`, a key ends at the first `=`, `:` or blank, a backslash makes the next character an ordinary one
 * (`\t \n \r \f \uXXXX` stand for others) and at the end of a line joins the next one to it. In the order of the file, with every key as often as it is given. Throws a
 * RangeError for a `\u` without four hexadecimal digits.
 */
export function readProperties(text: string): Property[] {
  return logicalLines(text).map(({ text: content, line }) => {
    const keyEnd = endOfKey(content);
    let start = skipBlanks(content, keyEnd);
    if (content[start] === '=' || content[start] === ':') start = skipBlanks(content, start + 1);
    return { key: unescaped(content.slice(0, keyEnd), line).trim(), value: unescaped(content.slice(start), line).trim(), line };
  });
}

/** Lines without comments, empty lines and blanks in front, joined where a line ends in a backslash. */
function logicalLines(text: string): LogicalLine[] {
  const found: LogicalLine[] = [];
  let open: LogicalLine | null = null;
  text.split(/\r\n|\r|\n/).forEach((raw, index) => {
    const content = raw.slice(skipBlanks(raw, 0));
    // A line that goes on with another one is no comment, whatever it begins with.
    if (open === null && (content === '' || content[0] === '#' || content[0] === '!')) return;
    const joins = endsInEscape(content);
    const joined: LogicalLine = {
      text: (open?.text ?? '') + (joins ? content.slice(0, -1) : content),
      line: open?.line ?? index + 1,
    };
    if (!joins) found.push(joined);
    // What is empty so far is no beginning: the next line may still be a comment.
    open = joins && joined.text !== '' ? joined : null;
  });
  if (open !== null) found.push(open);
  return found;
}

function endsInEscape(content: string): boolean {
  const [backslashes] = /\\*$/.exec(content) ?? [''];
  return backslashes.length % 2 === 1;
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (at < text.length && BLANKS.includes(text[at])) at++;
  return at;
}

function endOfKey(text: string): number {
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '=' || text[at] === ':' || BLANKS.includes(text[at])) return at;
  }
  return text.length;
}

function unescaped(text: string, line: number): string {
  return text.replace(/\\(u[0-9A-Fa-f]{4}|.|$)/gs, (_, escaped: string) => {
    if (escaped.length === 5) return String.fromCharCode(Number.parseInt(escaped.slice(1), 16));
    if (escaped === 'u') throw new RangeError(`line ${line}: \\u must be followed by four hexadecimal digits`);
    return ESCAPED[escaped] ?? escaped;
  });
}
