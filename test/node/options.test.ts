import { expect, test } from 'vitest';
import { ZabError } from '../../src/model/errors.ts';
import { ZXID_NONE } from '../../src/model/zxid.ts';
import type { EnsembleOptions, ServerSpec } from '../../src/node/api.ts';
import { resolveOptions } from '../../src/node/options.ts';
import { nodeSockets } from '../../src/transport/node-sockets.ts';
import { digestId } from '../../src/tree/sha1.ts';
import { nodeOptions } from './fake-replica.ts';

const server = (id: number, more: Partial<ServerSpec> = {}): ServerSpec => ({
  id,
  host: `host${id}`,
  quorumPort: 2888,
  electionPort: 3888,
  ...more,
});
const three = [server(3), server(1), server(2)];

test('defaults are filled in', () => {
  const { self, servers, transport, storage, clock, random, logger, ...rest } = resolveOptions({
    ...nodeOptions({ servers: three }),
    logger: undefined,
  });
  expect(self).toEqual({ ...server(1), role: 'participant', weight: 1, group: undefined });
  expect(servers.map(({ id }) => id)).toEqual([1, 2, 3]);
  expect([transport.open, storage.open, clock.now, random.below, logger].every((part) => typeof part === 'function')).toBe(true);
  expect(rest).toEqual({
    id: 1,
    configVersion: ZXID_NONE,
    standalone: false,
    tickTime: 2000,
    initLimit: 10,
    syncLimit: 5,
    initTime: 20_000,
    syncTime: 10_000,
    election: 'fast',
    finalizeWait: 200,
    minSessionTimeout: 4000,
    maxSessionTimeout: 40_000,
    snapCount: 100_000,
    snapRetainCount: 3,
    commitLogCount: 500,
    maxRequestBytes: 1_048_575,
    maxOutstanding: 100_000,
    maxLearnerBacklog: 268_435_456,
    snapshotConcurrency: 2,
    superDigest: null,
    port: null,
    skipAcl: false,
    extendedTypes: true,
    enforceQuota: false,
    digest: false,
    containerCheckInterval: 60_000,
  });
});

test('times follow the tick', () => {
  const resolved = resolveOptions(nodeOptions({ tickTime: 100, initLimit: 3, syncLimit: 2 }));
  expect(resolved).toMatchObject({ initTime: 300, syncTime: 200, minSessionTimeout: 200, maxSessionTimeout: 2000 });
});

test.each<[Partial<EnsembleOptions>]>([
  [{ servers: [server(1, { weight: 0, group: 1 }), server(2, { group: 1 })] }],
  [{ servers: [server(1, { group: 1 }), server(2, { group: 2 }), server(3, { role: 'observer' })] }],
  [{ servers: [server(1, { role: 'observer' }), server(2)] }],
  [{ servers: [server(1, { host: 'same' }), server(2, { host: 'same', quorumPort: 2889, electionPort: 3889 })] }],
  [{ superDigest: digestId('root:pw') }],
  [{ minSessionTimeout: 100_000 }],
  [{ snapRetainCount: Number.POSITIVE_INFINITY }],
  [{ standalone: true, servers: [server(1, { client: { host: '::1', port: 2181 } })] }],
])('%j is taken', (more) => {
  expect(resolveOptions(nodeOptions(more)).id).toBe(1);
});

test.each<[string, Partial<Record<keyof EnsembleOptions, unknown>>]>([
  ['id: must be the id of one of the servers (1, 2, 3), not 4', { id: 4, servers: three }],
  ['id: must be a whole number from 1 to 255, not 0', { id: 0 }],
  ['id: must be a whole number from 1 to 255, not "1"', { id: '1' }],
  ['servers: must be a list', { servers: [] }],
  ['servers[1].id: must differ', { servers: [server(1), server(1)] }],
  ['servers[1].quorumPort: must differ from servers[0].quorumPort', { servers: [server(1, { host: 'A' }), server(2, { host: 'a' })] }],
  ['servers[0].electionPort: must differ from servers[0].quorumPort', { servers: [server(1, { electionPort: 2888 })] }],
  ['servers[0].quorumPort: must be a whole number from 1 to 65535, not 65536', { servers: [server(1, { quorumPort: 65_536 })] }],
  ['servers[0].electionPort: must be a whole number from 1 to 65535, not 0', { servers: [server(1, { electionPort: 0 })] }],
  ['servers[0].host: must be a name', { servers: [server(1, { host: '' })] }],
  ['servers[0].role: must be', { servers: [server(1, { role: 'leader' as never })] }],
  ['servers: must have at most 31 participants', { servers: Array.from({ length: 32 }, (_, k) => server(k + 1)) }],
  ['servers: must have at least one participant', { servers: [server(1, { role: 'observer' })] }],
  ['servers: either every participant has a group or none has; server 2 has none', { servers: [server(1, { group: 1 }), server(2)] }],
  ['servers[0].weight: is only for servers with a group', { servers: [server(1, { weight: 2 })] }],
  ['servers: at least one participant must have a weight above 0', { servers: [server(1, { weight: 0, group: 1 })] }],
  ['servers[0].client.port: must be a whole number from 1 to 65535, not 0', { servers: [server(1, { client: { host: 'a', port: 0 } })] }],
  ['servers[0].client.host: must be a name', { servers: [server(1, { client: { host: '', port: 1 } })] }],
  ['standalone: must be false with 3 servers, not true', { standalone: true, servers: three }],
  ['transport: must be an object with open, not undefined', { transport: undefined }],
  ['storage: must be an object', { storage: {} }],
  ['clock: must be an object', { clock: { now: Date.now } }],
  ['random: must be an object', { random: Math.random }],
  ['logger: must be a function', { logger: console }],
  ['tickTime: must be a whole number from 1', { tickTime: 0 }],
  ['tickTime: must be a whole number from 1', { tickTime: 1.5 }],
  ['initLimit: must be a whole number from 1', { initLimit: -1 }],
  ['syncLimit: must be a whole number from 1', { syncLimit: Number.NaN }],
  ['maxSessionTimeout: must not be below minSessionTimeout (4000)', { maxSessionTimeout: 3000 }],
  ['snapRetainCount: must be a whole number from 3', { snapRetainCount: 2 }],
  ['snapCount: must be a whole number from 2', { snapCount: 1 }],
  ['election: must be', { election: 'slow' }],
  ['superDigest: must be user:base64', { superDigest: 'root:pw' }],
  ['digest: must be true or false, not "yes"', { digest: 'yes' }],
  ['configVersion: must be a Long, not 7', { configVersion: 7 }],
  ['clientPort: must be a whole number from 1 to 65535, not 65536', { clientPort: 65_536 }],
  ['clientHost: must be a name', { clientHost: '' }],
  ['sockets: must be an object with connect, listen, lookup, not undefined', { clientPort: 1 }],
  ['maxClientCnxns: must be a whole number from 0', { maxClientCnxns: -1 }],
  ['maxCnxns: must be a whole number from 0', { maxCnxns: -1 }],
  ['globalOutstandingLimit: must be a whole number from 1', { globalOutstandingLimit: 0 }],
  ['fourLetterWords: must be a list of words of four letters', { fourLetterWords: ['ruok', 'no'] }],
  ['fourLetterWords: must be a list of words of four letters', { fourLetterWords: '*' }],
  ['environment: must be a function, not a list', { environment: [] }],
  ['readOnlyMode: must be true or false', { readOnlyMode: 1 }],
])('%s', (message, more) => {
  const error = (() => {
    try {
      resolveOptions(nodeOptions(more as Partial<EnsembleOptions>));
    } catch (e) {
      return e;
    }
  })();
  expect(error).toBeInstanceOf(ZabError);
  expect(error).toMatchObject({ code: 'BAD_OPTIONS', outcome: 'not-done' });
  expect((error as Error).message).toContain(`option ${message}`);
});

test('the client port has defaults', () => {
  const sockets = nodeSockets();
  const { port } = resolveOptions(nodeOptions({ clientPort: 2181, sockets }));
  expect(port).toEqual({
    clientPort: 2181,
    clientHost: '0.0.0.0',
    sockets,
    maxClientCnxns: 60,
    maxCnxns: Number.POSITIVE_INFINITY,
    globalOutstandingLimit: 10_000,
    fourLetterWords: new Set(['srvr']),
    environment: expect.any(Function),
    readOnlyMode: false,
  });
  expect(resolveOptions(nodeOptions({ clientPort: 2181, sockets, maxClientCnxns: 0 })).port?.maxClientCnxns).toBe(Number.POSITIVE_INFINITY);
});

test('a bad superDigest is not repeated in the message', () => {
  expect(() => resolveOptions(nodeOptions({ superDigest: 'root:secret' }))).toThrow(/^(?!.*secret).*superDigest/);
});
