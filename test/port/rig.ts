import { join } from 'node:path';
import { expect } from 'vitest';
import { freePorts } from '../../examples/support/ports.ts';
import { type EnsembleNode, type EnsembleOptions, fileStorage, nodeSockets } from '../../src/index.ts';
import { Rig, type RigOptions } from '../ensemble/rig.ts';
import { RawClient, type RawReply } from '../interop/raw.ts';

/** Replicas on an in-memory network with client ports on real sockets. */
export class PortRig extends Rig {
  readonly ports = new Map<number, number>();
  readonly clients: RawClient[] = [];

  /** Starts all servers. */
  static async start(options: RigOptions, folder?: string): Promise<PortRig> {
    // With the short ticks of these rigs a session would last two seconds at most: less than a busy machine may take for many calls.
    const rig = new PortRig({ maxClientCnxns: 0, maxSessionTimeout: 60_000, ...options });
    // Otherwise the logs are in memory, and it is all theirs in the end.
    if (folder !== undefined) for (const { id } of rig.servers) rig.storages.set(id, fileStorage({ dataDir: join(folder, String(id)) }));
    await rig.takePorts();
    await rig.startAll();
    return rig;
  }

  /** Gives every server a client port. */
  protected async takePorts(): Promise<void> {
    const ports = await freePorts(this.servers.length);
    for (const [i, { id }] of this.servers.entries()) this.ports.set(id, ports[i]);
  }

  override make(id: number, overrides: Partial<EnsembleOptions> = {}): EnsembleNode {
    const port = { clientPort: this.port(id), clientHost: '127.0.0.1', sockets: nodeSockets() };
    return super.make(id, { ...port, ...overrides });
  }

  port(id: number): number {
    const port = this.ports.get(id);
    if (port === undefined) throw new Error(`server ${id} has no port`);
    return port;
  }

  /** A connection to a server on which nothing has been said. */
  async dial(id = 1): Promise<RawClient> {
    const client = await RawClient.dial(this.port(id));
    this.clients.push(client);
    return client;
  }

  /** A client with a session at a server. */
  async client(id = 1, wanted: Parameters<typeof RawClient.connect>[1] = {}): Promise<RawClient> {
    const client = await RawClient.connect(this.port(id), wanted);
    this.clients.push(client);
    return client;
  }

  async end(): Promise<void> {
    await Promise.all(this.clients.map((client) => client.drop()));
    await this.stopAll();
  }
}

/** A reply that says that all is well. */
export function ok(reply: RawReply | 'closed'): RawReply {
  if (reply === 'closed') throw new Error('the connection was closed');
  expect(reply.err).toBe(0);
  return reply;
}
