import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { connect, type Session, ZabError } from '../../src/index.ts';

/* A process for `failover.test.ts` that must end by itself: nothing of its sessions may be left. */

const server = `127.0.0.1:${process.argv[2]}`;

try {
  await connect('127.0.0.1:1', { openTimeout: 300 });
} catch (error) {
  console.log(`never opened: ${error instanceof ZabError ? error.code : error}`);
}

// Behind a door that is shut.
const sockets: Socket[] = [];
const door = createServer((socket) => {
  const inside = new (socket.constructor as typeof Socket)().connect(Number(process.argv[2]), '127.0.0.1');
  inside.on('error', () => socket.destroy());
  socket.on('error', () => inside.destroy());
  socket.pipe(inside).pipe(socket);
  sockets.push(socket, inside);
});
door.listen(0, '127.0.0.1');
await once(door, 'listening');
const expiring = await connect(`127.0.0.1:${(door.address() as { port: number }).port}`, { timeout: 200 });
for (const socket of sockets) socket.destroy();
door.close();
await new Promise<void>((resolve) => expiring.on('state', (state) => state === 'expired' && resolve()));
console.log(expiring.state);

const session: Session = await connect(server);
session.watch('/', () => {});
for await (const _ of session.watch('/', { signal: AbortSignal.timeout(50) })) break;
await session.close();
console.log(session.state);
