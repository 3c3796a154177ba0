import { createServer } from 'node:net';
import type { ServerSpec } from 'zab-ensemble';

/*
 * Ports are taken from below the range that the kernel gives to outgoing connections (32768 and up on Linux). A killed replica must find its port free when it comes
 * back, and a peer that dials a dead replica on loopback must not be given that very port as its own end.
 */
const FIRST = 10_000;
const LAST = 32_000;

/** Addresses on loopback for servers 1..count, on ports that are free right now. */
export async function loopbackServers(count: number): Promise<ServerSpec[]> {
  const ports: number[] = [];
  while (ports.length < 2 * count) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST));
    if (!ports.includes(port) && (await isFree(port))) ports.push(port);
  }
  return Array.from({ length: count }, (_, i) => ({
    id: i + 1,
    host: '127.0.0.1',
    quorumPort: ports[2 * i],
    electionPort: ports[2 * i + 1],
  }));
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
