import { readFileSync } from 'node:fs';
import Long from 'long';
import { describe, expect, it } from 'vitest';
import { answerWord, isAllowed, parseWord, refusedText } from '../../src/node/port/four-letter.ts';
import type { PortView, ServerMode } from '../../src/node/port/port-view.ts';
import { VERSION, VERSION_DATE } from '../../src/node/version.ts';
import { answersOf, viewBehind, viewWith } from './four-letter-vectors.ts';

const FILES: readonly [string, ServerMode | null][] = [
  ['standalone', 'standalone'],
  ['leader', 'leader'],
  ['follower', 'follower'],
  ['ensemble-leader', 'leader'],
  ['ensemble-follower', 'follower'],
  ['ensemble-observer', 'observer'],
  ['read-only', 'read-only'],
  ['looking', null],
];
const WORDS = 'ruok srvr stat mntr conf cons crst srst dump envi isro wchs wchc wchp dirs hash'.split(' ');

function answer(word: string, view: PortView): string {
  const told: string[] = [];
  answerWord(word, view, (text) => told.push(text));
  expect(told).toHaveLength(1);
  return told[0];
}

/** Apache ZooKeeper keeps a session whose watches have all fired in its list, and counts it. */
const withoutEmpty = (text: string): string => text.replace(/^0x\w+\n(?!\t)/gm, '');

describe.each(FILES)('a server like the one of %s answers as it did', (file, mode) => {
  const answers = answersOf(file);
  it.each(WORDS.filter((word) => answers.has(word)))('%s', (word) => {
    const text = answers.get(word)!;
    // The summary is that of the list.
    const shown = word === 'wchs' ? 'wchp' : word;
    const own = answer(word, viewBehind(shown, answers.get(shown)!, mode));
    if (word === 'wchc') expect(own).toBe(withoutEmpty(text));
    else if (word === 'wchs' && file === 'standalone') expect(own).toBe(text.replace('2 connections', '1 connections'));
    else if (word === 'mntr' && mode !== null) sameMeasures(own, text);
    else expect(own).toBe(text);
  });
});

/** The lines are those that ZooKeeper's servers have as well, in another order, without those of which we know nothing. */
function sameMeasures(own: string, text: string): void {
  const theirs = new Set(text.split('\n'));
  const lines = own.split('\n');
  expect(lines.filter((line) => !theirs.has(line))).toEqual([]);
  expect(lines.length).toBeGreaterThan(13);
  expect(lines[0]).toMatch(/^zk_version\t3\.8\.0-/);
}

it('every word of the captures but those for the trace mask is a word, and nothing else is', () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const seen = new Set(FILES.flatMap(([file]) => [...answersOf(file).keys()]));
  for (const none of ['gtmk', 'stmk', 'nope']) seen.delete(none);
  expect([...seen].sort()).toEqual([...WORDS].sort());
  for (const word of WORDS) expect(parseWord(bytes(`${word}\n`))).toBe(word);
  for (const none of ['gtmk', 'stmk', 'nope', 'RUOK', 'ruo', '', '\0\0\0\u002c', 'toSt', 'cons'.slice(0, 3)])
    expect(parseWord(bytes(none))).toBeNull();
  expect(parseWord(Uint8Array.of(0xff, 0xf4, 0xff, 0xfd))).toBeNull();
});

it('the white list: srvr is always on it, isro in read-only mode, * is all', () => {
  const allowed = (list: string[], readOnly = false) => WORDS.filter((word) => isAllowed(word, new Set(list), readOnly));
  expect(allowed([])).toEqual(['srvr']);
  expect(allowed([], true)).toEqual(['srvr', 'isro']);
  expect(allowed(['mntr', 'ruok'])).toEqual(['ruok', 'srvr', 'mntr']);
  expect(allowed(['*'])).toEqual(WORDS);
  expect(refusedText('cons')).toBe('cons is not executed because it is not in the whitelist.\n');
});

describe('numbers', () => {
  const latencies = (average: number) =>
    /\/(.*)\//.exec(
      answer('srvr', viewWith('follower', { latency: { min: 0, average, max: 9 } }))
        .split('\n')[1]
        .slice(19),
    )![1];

  it('a mean has one to four places', () => {
    expect([0, 3, 0.5, 2 / 3, 17.500001, 0.00004, 123456.78915].map(latencies)).toEqual([
      '0.0',
      '3.0',
      '0.5',
      '0.6667',
      '17.5',
      '0.0',
      '123456.7892',
    ]);
  });

  it('ids and zxids are unsigned hex, digests signed', () => {
    const big = Long.fromString('-1', true);
    expect(answer('srvr', viewWith('standalone', { lastZxid: big }))).toContain('\nZxid: 0xffffffffffffffff\n');
    expect(answer('hash', viewWith('standalone', { digest: () => ({ zxid: Long.fromInt(0x180, true), value: big }) }))).toBe('180: -1\n');
    const sessions = [big, Long.UONE].map((id) => ({ id, timeout: 1 }));
    expect(answer('dump', viewWith('follower', { sessions: () => ({ kind: 'known', sessions }) }))).toContain(
      '(2):\n0xffffffffffffffff\t1ms\n0x1\t1ms\n',
    );
  });
});

it('names the release of this package', () => {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  expect(VERSION).toBe(manifest.version);
  expect(VERSION_DATE).toMatch(/^\d{4}-\d\d-\d\d$/);
});

it('resets, and says so', () => {
  let [server, connections] = [0, 0];
  const view = viewWith('leader', { resetServer: () => void server++, resetConnections: () => void connections++ });
  answer('srst', view);
  expect([server, connections]).toEqual([1, 0]);
  answer('crst', view);
  expect([server, connections]).toEqual([1, 1]);
});

it('a server that stops serving while it looks at its disk says so', () => {
  const told: string[] = [];
  let looked = (): void => {};
  const view = { ...viewWith('leader', {}), mode: 'leader' as ServerMode | null };
  view.usage = (done) => {
    looked = () => done({ dataDir: '/d', dataBytes: 1, logDir: '/l', logBytes: 2 });
  };
  answerWord('dirs', view, (text) => told.push(text));
  expect(told).toEqual([]);
  looked();
  answerWord('conf', view, (text) => told.push(text));
  view.mode = null;
  looked();
  expect(told).toEqual(['datadir_size: 1\nlogdir_size: 2\n', 'This ZooKeeper instance is not currently serving requests\n']);
});
