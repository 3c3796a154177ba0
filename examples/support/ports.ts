import { createServer } from 'node:net';
import type { ServerSpec } from 'zab-ensemble';

/*
 * Ports are taken from below the range that the kernel gives to outgoing connections (32768 and up on Linux). A killed replica must find its port free when it comes
 * back, and a peer that dials a dead replica on loopback must not be given that very port as its own end.
 */
const FIRST = 10_000;
const LAST = 32_000;

/*
 * A port that is free right now may be somebody's who is about to open it, or who has been killed and will come back. So no process gives one out twice, and those
 * that run side by side, such as the workers of vitest, look in parts of the range of their own.
 */
const PARTS = 8;
const SIZE = (LAST - FIRST) / PARTS;
const part = Number(process.env.VITEST_POOL_ID ?? process.pid) % PARTS;
let next = Math.floor(Math.random() * SIZE);

/** `count` ports of 127.0.0.1 that nobody listens on, and that nobody else is given. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = FIRST + part * SIZE + (next++ % SIZE);
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

/** Addresses on loopback for servers 1..count, on ports that are free right now. */
export async function loopbackServers(count: number): Promise<ServerSpec[]> {
  const ports = await freePorts(2 * count);
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
