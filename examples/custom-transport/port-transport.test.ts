import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { describe, it } from 'vitest';
import { systemClock, type Transport } from 'zab-ensemble';
import { type TransportHarness, transportConformance } from 'zab-ensemble/testing';
import { portTransport } from './port-transport.ts';

/* Whether the transport keeps the contract that replicas rely on: the suite of the package says so. All in one thread, which to a port is the same. */

async function make(): Promise<TransportHarness> {
  const lines = new Map<number, Map<number, MessagePort>>();
  const transports = new Map<number, Transport>();
  return {
    clock: systemClock(),
    async addresses(ids) {
      for (const id of ids) lines.set(id, new Map());
      for (const [a, ofA] of lines)
        for (const [b, ofB] of lines) {
          if (a >= b) continue;
          const { port1, port2 } = new MessageChannel();
          ofA.set(b, port1);
          ofB.set(a, port2);
        }
      for (const [id, ofId] of lines) transports.set(id, portTransport(ofId));
      return ids.map((id) => ({ id, host: 'thread', quorumPort: id, electionPort: id }));
    },
    transport: (id) => transports.get(id) as Transport,
    async dispose() {
      for (const ports of lines.values()) for (const port of ports.values()) port.close();
    },
  };
}

describe('a transport over the ports of threads', () => {
  for (const { name, run } of transportConformance(make)) it(name, run);
});
