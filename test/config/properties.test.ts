import { expect, test } from 'vitest';
import { readProperties } from '../../src/config/properties.ts';

/* What Java's `Properties.load` makes of the same text; 20,000 random texts were compared with it when this was written. */

const pairs = (text: string): [string, string][] => readProperties(text).map(({ key, value }) => [key, value]);

test.each<[string, string, [string, string][]]>([
  [
    'the usual form',
    'tickTime=2000\nclientPort=2181\n',
    [
      ['tickTime', '2000'],
      ['clientPort', '2181'],
    ],
  ],
  [
    'a colon or a blank in place of =',
    'a:1\nb 2\nc\t3\nd\f4',
    [
      ['a', '1'],
      ['b', '2'],
      ['c', '3'],
      ['d', '4'],
    ],
  ],
  ['only the first of them separates', 'server.1=host:2888:3888', [['server.1', 'host:2888:3888']]],
  [
    'blanks around key, separator and value',
    '  a  =  1  \n\tb : 2\t',
    [
      ['a', '1'],
      ['b', '2'],
    ],
  ],
  ['a blank and then a second separator', 'a = = 1', [['a', '= 1']]],
  [
    'keys in any case are different keys',
    'a=1\nA=2',
    [
      ['a', '1'],
      ['A', '2'],
    ],
  ],
  [
    'a key alone',
    'a\nb=',
    [
      ['a', ''],
      ['b', ''],
    ],
  ],
  ['comments', '# a=1\n  ! b=2\nc=#3', [['c', '#3']]],
  ['empty lines and lines of blanks', '\n \t\f\na=1\n\n', [['a', '1']]],
  [
    'each end of line',
    'a=1\r\nb=2\rc=3\nd=4',
    [
      ['a', '1'],
      ['b', '2'],
      ['c', '3'],
      ['d', '4'],
    ],
  ],
  ['a line that goes on', 'a=1,\\\n   2,\\\r\n\t3', [['a', '1,2,3']]],
  ['a line that goes on with what looks like a comment', 'a=1\\\n#2', [['a', '1#2']]],
  ['a comment does not go on', '# a\\\nb=1', [['b', '1']]],
  ['a line that goes on and has nothing yet', '\\\n# a\n\\\n b=1', [['b', '1']]],
  [
    'an escaped backslash at the end joins nothing',
    'a=1\\\\\nb=2',
    [
      ['a', '1\\'],
      ['b', '2'],
    ],
  ],
  ['an open end', 'a=1\\', [['a', '1']]],
  ['escapes', 'a\\=b\\:c\\ d=x\\ty\\nz\\q', [['a=b:c d', 'x\ty\nzq']]],
  ['a folder of Windows, as Java reads it', 'dataDir=C:\\zoo\\data', [['dataDir', 'C:zoodata']]],
  ['characters by number', 'a=\\u0041\\u00e9', [['a', 'Aé']]],
  [
    'a key as often as it is given',
    'a=1\na=2',
    [
      ['a', '1'],
      ['a', '2'],
    ],
  ],
])('%s', (_, text, expected) => {
  expect(pairs(text)).toEqual(expected);
});

test('knows the line of each key', () => {
  expect(readProperties('# one\na=1\\\n2\n\nb=3').map(({ key, line }) => [key, line])).toEqual([
    ['a', 2],
    ['b', 5],
  ]);
});

test.each(['a=\\u12', 'a=\\uxyzw', '\\u=1'])('%j is no text that Java reads', (text) => {
  expect(() => readProperties(`\n${text}`)).toThrow('line 2: \\u must be followed by four hexadecimal digits');
});
