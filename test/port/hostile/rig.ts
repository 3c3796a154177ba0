import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loopbackServers } from '../../../examples/support/ports.ts';
import { fileStorage, type Storage, type Transport, tcpTransport } from '../../../src/index.ts';
import { contents } from '../../ensemble/client.ts';
import type { RawClient } from '../../interop/raw.ts';
import { ok, PortRig } from '../rig.ts';

/** Three servers over TCP and on data directories, with client ports and digests. */
export class HostileRig extends PortRig {
  #dir = '';

  static async create(): Promise<HostileRig> {
    const servers = await loopbackServers(3);
    const rig = new HostileRig({ voters: 3, servers, tickTime: 200, maxSessionTimeout: 600_000, maxClientCnxns: 0, digest: true });
    rig.#dir = await mkdtemp(join(tmpdir(), 'zab-hostile-'));
    await rig.takePorts();
    await rig.startAll();
    return rig;
  }

  protected override newStorage(id: number): Storage {
    return fileStorage({ dataDir: join(this.#dir, String(id)) });
  }

  protected override newTransport(): Transport {
    return tcpTransport();
  }

  /** Stops every server and starts it again from what is in its directory; the trees before and after. */
  async restart(): Promise<{ before: readonly string[][]; after: readonly string[][] }> {
    await this.converge();
    const before = [...this.nodes.values()].map(contents);
    await this.stopAll();
    this.storages.clear();
    await this.startAll();
    await this.converge();
    return { before, after: [...this.nodes.values()].map(contents) };
  }

  override async end(): Promise<void> {
    await super.end();
    await rm(this.#dir, { recursive: true, force: true });
  }
}

/** A client that works on and on at one server, whatever others do there. */
export class Bystander {
  rounds = 0;
  /** The most answers that a foe at its server got while it waited for one to a read. */
  longest = 0;
  readonly #client: RawClient;
  readonly #path: string;
  readonly #foesAnswers: () => number;
  #stopped = false;
  readonly #done: Promise<void>;

  constructor(client: RawClient, path: string, foesAnswers: () => number) {
    this.#client = client;
    this.#path = path;
    this.#foesAnswers = foesAnswers;
    this.#done = this.#work();
    // `stop` tells of it.
    this.#done.catch(() => {});
  }

  async #work(): Promise<void> {
    const acl = [{ perms: 31, scheme: 'world', id: 'anyone' }];
    ok(await this.#client.call({ op: 1, path: this.#path, data: null, acl, flags: 1, ttl: 0 }));
    while (!this.#stopped) {
      const before = this.#foesAnswers();
      ok(await this.#client.call({ op: 4, path: this.#path, watch: true }));
      this.longest = Math.max(this.longest, this.#foesAnswers() - before);
      ok(await this.#client.call({ op: 5, path: this.#path, data: null, version: this.rounds }));
      this.#client.frames.length = 0;
      this.rounds++;
    }
  }

  /** Resolves when it has come to its end; rejects if it was answered wrongly, or not at all. */
  stop(): Promise<void> {
    this.#stopped = true;
    return this.#done;
  }
}
