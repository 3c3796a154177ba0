import type { LookupFunction } from 'node:net';
import { describe, expect, it } from 'vitest';
import { freePorts } from '../../examples/support/ports.ts';
import type { ByteSocket, Listener } from '../../src/seams/sockets.ts';
import type { SocketsHarness } from '../../src/testing/sockets-bench.ts';
import { socketsConformance } from '../../src/testing/sockets-conformance.ts';
import { nodeSockets } from '../../src/transport/node-sockets.ts';
import { until } from './rig.ts';

/** As the machine's own one, it has an answer for `localhost` and for no name at all. */
const KNOWN = ['far.test', 'localhost', ''];
const lookup: LookupFunction = (host, options, callback) => {
  const error = KNOWN.includes(host) ? null : Object.assign(new Error(`ENOTFOUND ${host}`), { code: 'ENOTFOUND' });
  setImmediate(() => (options.all ? callback(error, [{ address: '127.0.0.1', family: 4 }]) : callback(error, '127.0.0.1', 4)));
};

async function harness(): Promise<SocketsHarness> {
  return {
    near: nodeSockets({ lookup }),
    far: nodeSockets(),
    address: '127.0.0.1',
    name: 'far.test',
    unknownName: 'nobody.test',
    foreignAddress: '203.0.113.1',
    freePort: async () => (await freePorts(1))[0],
    sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    dispose: async () => {},
  };
}

describe('the sockets of Node', () => {
  for (const { name, run } of socketsConformance(harness)) it(name, run);
});

describe('a lookup of the user', () => {
  const kinds: Record<string, LookupFunction> = {
    'that fails at once': (host, _options, callback) => callback(new Error(`nobody knows ${host}`), ''),
    'that throws': (host) => {
      throw new Error(`nobody knows ${host}`);
    },
    'that answers twice': (host, _options, callback) => {
      callback(new Error(`nobody knows ${host}`), '');
      callback(null, '127.0.0.1', 4);
    },
  };
  it.each(Object.keys(kinds))('%s tells one end, later', async (kind) => {
    const sockets = nodeSockets({ lookup: kinds[kind] });
    const told: string[] = [];
    const tell = (what: string) => (text?: string) => void told.push(`${what} ${text}`);
    sockets.connect('far.test', 1, { opened: tell('opened'), data() {}, ended: tell('ended'), closed: tell('closed') });
    sockets.lookup('far.test', (error, address) => tell('found')(error?.message ?? address));
    expect(told).toEqual([]);
    await until(() => told.length >= 2);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(told.sort()).toEqual(['closed nobody knows far.test', 'found nobody knows far.test']);
  });
});

it('a listener that has closed and sockets that are gone leave no handle', async () => {
  const handles = () => process.getActiveResourcesInfo().filter((kind) => /TCP/.test(kind)).length;
  const before = handles();
  const [port] = await freePorts(1);
  const sockets = nodeSockets();
  let gone = 0;
  const quiet = { opened() {}, data() {}, ended() {}, closed: () => void gone++ };
  const listener = await new Promise<Listener>((resolve, reject) => {
    const accept = (socket: ByteSocket) => {
      socket.destroy();
      return quiet;
    };
    sockets.listen('127.0.0.1', port, accept, (error, made) => (made === undefined ? reject(error) : resolve(made)), expect.unreachable);
  });
  const dialled = sockets.connect('127.0.0.1', port, { ...quiet, ended: () => dialled.destroy() });
  await until(() => gone === 2);
  await new Promise<void>((resolve) => listener.close(resolve));
  expect(handles()).toBe(before);
});
