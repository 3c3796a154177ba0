import type { OpenTransport, TransportHandler } from '../seams/transport.ts';
import type { EnsembleConfig } from '../zab/ensemble-config.ts';
import type { ResolvedOptions } from './options.ts';

/** A replica's transport. Where the members of the ensemble have changed it is closed and opened again, for who they are and where is said when it is opened. */
export class TransportKeeper {
  readonly #options: ResolvedOptions;
  readonly #ensemble: EnsembleConfig;
  readonly #handler: TransportHandler;
  #open: OpenTransport | null = null;
  /** It is being opened or closed. */
  #isBusy = false;
  #closed: (() => void) | null = null;

  constructor(options: ResolvedOptions, ensemble: EnsembleConfig, handler: TransportHandler) {
    this.#options = options;
    this.#ensemble = ensemble;
    this.#handler = handler;
  }

  /** Null while it is not open. */
  get current(): OpenTransport | null {
    return this.#open;
  }

  /** Opens it among the members of this moment. `done` does not come after {@link close}. */
  open(done: (error: Error | null) => void): void {
    const { transport, id, self, clock, logger, election, initTime, maxRequestBytes } = this.#options;
    const { servers } = this.#ensemble;
    const options = {
      self: servers.find((server) => server.id === id) ?? self,
      servers,
      clock,
      logger,
      election,
      connectTimeout: Math.min(initTime, 5000),
      maxPacket: maxRequestBytes * 2 + 65536,
    };
    this.#isBusy = true;
    transport.open(options, this.#handler, (error, open) => {
      this.#isBusy = false;
      this.#open = open ?? null;
      if (this.#closed !== null) this.close(this.#closed);
      else done(error ?? (open === undefined ? new Error('the transport gave no result') : null));
    });
  }

  /** Closes it, which ends all links without a word, and opens it again. */
  reopen(done: (error: Error | null) => void): void {
    const open = this.#open;
    if (open === null) return;
    this.#open = null;
    this.#isBusy = true;
    open.close(() => {
      this.#isBusy = false;
      if (this.#closed !== null) this.close(this.#closed);
      else this.open(done);
    });
  }

  /** Closes it for good. `done` never comes before its ports are free. */
  close(done: () => void): void {
    this.#closed = done;
    if (this.#isBusy) return;
    const open = this.#open;
    this.#open = null;
    if (open === null) done();
    else open.close(done);
  }
}
