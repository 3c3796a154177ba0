import { RawClient } from '../interop/raw.ts';

/* Clients for `crowd.ts`, which tells this process what to do. */

const ports = JSON.parse(process.argv[2]) as number[];
const BATCH = 100;
let clients: RawClient[] = [];

process.on('message', (message: { order: 'connect'; count: number; path: string } | { order: 'leave' }) => {
  void (message.order === 'connect' ? connect(message.count, message.path) : leave());
});
process.send?.({ what: 'ready', count: 0 });

/** Runs `work` for `count` clients, some at a time. */
async function each(count: number, work: (index: number) => Promise<void>): Promise<void> {
  for (let from = 0; from < count; from += BATCH) {
    await Promise.all(Array.from({ length: Math.min(BATCH, count - from) }, (_, i) => work(from + i)));
  }
}

async function connect(count: number, path: string): Promise<void> {
  let fired = 0;
  await each(count, async (index) => {
    const client = await RawClient.connect(ports[index % ports.length], { timeout: 60_000 });
    clients.push(client);
    const reply = await client.call({ op: 4, path, watch: true });
    if (reply.err !== 0) throw new Error(`getData ends with ${reply.err}`);
    void client
      .seen('an event', (frame) => frame.kind === 'event')
      .then(() => {
        fired++;
        if (fired === count) process.send?.({ what: 'fired', count: fired });
      });
  });
  process.send?.({ what: 'connected', count });
}

async function leave(): Promise<void> {
  await each(clients.length, async (index) => {
    await clients[index].call({ op: -11 });
    await clients[index].drop();
  });
  const count = clients.length;
  clients = [];
  process.send?.({ what: 'left', count });
}
