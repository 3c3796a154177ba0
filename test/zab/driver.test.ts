import { expect, it } from 'vitest';
import { createEnsembleNode, memoryStorage } from '../../src/index.ts';
import type { Transport, TransportHandler } from '../../src/seams/transport.ts';
import type { ElectionMessage } from '../../src/zab/messages.ts';

it('a step that breaks a rule of the protocol ends the node with its error, never the process', async () => {
  let handler: TransportHandler | undefined;
  const transport: Transport = {
    open: (_options, given, done) => {
      handler = given;
      const open = {
        sendElection: () => {},
        electionLinkUp: () => true,
        reconnectElection: () => {},
        dial: () => ({ remote: 'nowhere', send: () => {}, buffered: 0, close: () => {} }),
        close: (closed: () => void) => closed(),
      };
      queueMicrotask(() => done(null, open));
    },
  };
  const address = (id: number) => ({ id, host: 'h', quorumPort: id, electionPort: 100 + id, role: 'participant' as const });
  const node = createEnsembleNode({ id: 1, servers: [address(1), address(2)], transport, storage: memoryStorage() });
  const starting = node.start();
  starting.catch(() => {});
  await expect.poll(() => handler).toBeDefined();
  await new Promise((resolve) => setImmediate(resolve));
  // No transport hands over such a message: it stands for any fault inside a step.
  const broken = { kind: 'notification', state: 0, leader: 2, peerEpoch: 0, electionEpoch: 1 } as unknown as ElectionMessage;
  expect(() => handler?.election(2, broken)).not.toThrow();
  await expect(node.closed).rejects.toThrow();
  await expect(starting).rejects.toThrow();
});
