import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** Stands between a client and a server, and cuts the client off when told to. The end of one direction is passed on as no more than that: who still sends must not lose an answer by it. */
export class CuttingProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isOpen = true;

  private constructor(target: number) {
    this.#server = createServer({ allowHalfOpen: true }, (client) => {
      if (!this.#isOpen) {
        client.destroy();
        return;
      }
      const server = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true });
      for (const [from, to] of [
        [client, server],
        [server, client],
      ]) {
        this.#sockets.add(from);
        from.setNoDelay(true);
        from.pipe(to);
        from.on('error', () => {});
        from.on('close', () => {
          this.#sockets.delete(from);
          // Behind what has come. A reset would be another end than the server's, and take what the client has not read yet.
          to.end();
        });
      }
    });
  }

  /** A proxy in front of a port of this machine. */
  static async before(target: number): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(target);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy is closed');
    return address.port;
  }

  /** Ends every connection and refuses new ones until {@link open}. */
  cut(): void {
    this.#isOpen = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  open(): void {
    this.#isOpen = true;
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }
}
