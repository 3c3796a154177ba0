import { afterEach, expect, it } from 'vitest';
import { parseWord } from '../../src/node/port/four-letter.ts';
import { eventually } from '../ensemble/client.ts';
import { answersOf } from '../node/four-letter-vectors.ts';
import { ask, linesOf } from './ask.ts';
import { PortRig } from './rig.ts';

/* Which four-letter words are answered, and when. */

const NOT_SERVING = 'This ZooKeeper instance is not currently serving requests\n';

let rig: PortRig;
afterEach(() => rig.end());

it('words that are not on the white list', async () => {
  rig = await PortRig.start({ voters: 1, tickTime: 100, fourLetterWords: ['ruok', 'envi'] });
  const port = rig.port(1);
  expect(await ask(port, 'ruok')).toBe('imok');
  expect(await ask(port, 'srvr')).toContain('\nMode: standalone\n');
  for (const text of ['stat', 'mntr', 'isro', 'crst', 'dirs']) {
    expect(parseWord(new TextEncoder().encode(text))).toBe(text);
    expect(await ask(port, text)).toBe(`${text} is not executed because it is not in the whitelist.\n`);
  }
  // Nobody has said anything of the host.
  expect(await ask(port, 'envi')).toMatch(/^Environment:\nzookeeper.version=.*\n$/);
});

it('a single server is one of its own, with a store in memory that takes nothing on the disk', async () => {
  rig = await PortRig.start({ voters: 1, tickTime: 100, fourLetterWords: ['*'] });
  const port = rig.port(1);
  expect(await ask(port, 'conf')).toMatch(/^clientPort=\d+\nsecureClientPort=-1\ntickTime=100\n(\w+=-?\d+\n)+serverId=1\n$/);
  expect(await ask(port, 'dirs')).toBe('datadir_size: 0\nlogdir_size: 0\n');
  expect(await ask(port, 'hash')).toBe('');
  const names = [...linesOf(await ask(port, 'mntr'), '\t').keys()];
  const known = linesOf(answersOf('standalone').get('mntr')!, '\t');
  expect(names.filter((name) => !known.has(name))).toEqual([]);
});

it('times are taken anew: of each answer, and since it serves', async () => {
  const before = performance.now();
  rig = await PortRig.start({ voters: 1, tickTime: 100, fourLetterWords: ['*'] });
  const port = rig.port(1);
  const client = await rig.client(1);
  const number = async (text: string, pattern: RegExp) => Number(pattern.exec(await ask(port, text))?.[1]);
  const answeredAt = async (): Promise<number> => {
    await client.call({ op: 2, path: '/none', version: -1 });
    return number('cons', /,lresp=(\d+)/);
  };
  const first = await answeredAt();
  expect(first).toBeGreaterThanOrEqual(Math.floor(before));
  await eventually('a later answer', async () => (await answeredAt()) > first);
  expect(await number('mntr', /^zk_uptime\t(\d+)$/m)).toBeLessThanOrEqual(performance.now() - before);
});

it('a server without a quorum', async () => {
  rig = await PortRig.start({ voters: 3, tickTime: 100, syncLimit: 5, fourLetterWords: ['*'] });
  await rig.kill(2);
  await rig.kill(3);
  const port = rig.port(1);
  await eventually('the server has noticed', async () => (await ask(port, 'srvr')) === NOT_SERVING);
  for (const [text, answer] of answersOf('looking')) {
    // What stands in it is the host's; and there is no trace mask.
    if (!['envi', 'gtmk', 'stmk'].includes(text)) expect(await ask(port, text), text).toBe(answer);
  }
  expect(await ask(port, 'envi')).toContain('zookeeper.version=3.8.0');
});

it('a server that only reads is asked by clients who look for a better one', async () => {
  rig = await PortRig.start({ voters: 3, tickTime: 100, syncLimit: 5, readOnlyMode: true });
  const port = rig.port(1);
  expect(await ask(port, 'isro')).toBe('rw');
  await rig.kill(2);
  await rig.kill(3);
  await eventually('the server only reads', async () => (await ask(port, 'isro')) === 'ro');
  expect(await ask(port, 'srvr')).toMatch(
    /^Zookeeper version: .*\nREAD-ONLY mode; serving only read-only clients\nLatency[\s\S]*\nMode: read-only\n/,
  );
  await rig.start(2);
  await eventually('there is a quorum', async () => (await ask(port, 'isro')) === 'rw');
});
