import { expect, test, vi } from 'vitest';
import { systemClock } from '../../src/node/system-clock.ts';
import type { OpenTransport, QuorumLinkHandler, TransportHandler } from '../../src/seams/transport.ts';
import { soloTransport } from '../../src/transport/solo.ts';

const clock = systemClock();
const turn = () => new Promise<void>((resolve) => clock.defer(resolve));

const open = (): Promise<OpenTransport> => {
  const self = { id: 1, host: 'localhost', quorumPort: 1, electionPort: 2 };
  const options = { self, servers: [self], clock, logger: () => {}, election: 'fast', connectTimeout: 100, maxPacket: 1024 } as const;
  return new Promise((resolve, reject) => {
    soloTransport().open(options, {} as TransportHandler, (error, transport) => (transport ? resolve(transport) : reject(error)));
  });
};

test('reaches nobody, and says so in a later turn', async () => {
  const transport = await open();
  transport.sendElection(2, { state: 0 } as never);
  transport.reconnectElection();
  expect(transport.electionLinkUp(2)).toBe(false);
  const handler = { messages: vi.fn(), drained: vi.fn(), closed: vi.fn() } satisfies QuorumLinkHandler;
  const link = transport.dial(2, handler);
  expect(link.buffered).toBe(0);
  expect(handler.closed).not.toHaveBeenCalled();
  await turn();
  expect(handler.closed).toHaveBeenCalledExactlyOnceWith('there is no other server');
});

test('tells nothing after a close, of the link or of itself', async () => {
  const transport = await open();
  const closed = vi.fn();
  const handler: QuorumLinkHandler = { messages: closed, drained: closed, closed };
  transport.dial(2, handler).close('enough');
  transport.dial(3, handler);
  await new Promise<void>((resolve) => transport.close(resolve));
  transport.dial(4, handler);
  await turn();
  expect(closed).not.toHaveBeenCalled();
});
