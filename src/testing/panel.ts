import type { Probe } from './probe.ts';

/** Several probes in the place of one, in order. */
export class Panel implements Probe {
  readonly #members: Partial<Probe>[];

  constructor(members: readonly Partial<Probe>[]) {
    this.#members = [...members];
  }

  add(probe: Partial<Probe>): void {
    this.#members.push(probe);
  }

  #tell<K extends keyof Probe>(call: K, ...args: Parameters<Probe[K]>): void {
    for (const member of this.#members) (member[call] as ((...args: Parameters<Probe[K]>) => void) | undefined)?.(...args);
  }

  readonly booted: Probe['booted'] = (...args) => this.#tell('booted', ...args);
  readonly died: Probe['died'] = (...args) => this.#tell('died', ...args);
  readonly stopping: Probe['stopping'] = (...args) => this.#tell('stopping', ...args);
  readonly stopped: Probe['stopped'] = (...args) => this.#tell('stopped', ...args);
  readonly recovered: Probe['recovered'] = (...args) => this.#tell('recovered', ...args);
  readonly appending: Probe['appending'] = (...args) => this.#tell('appending', ...args);
  readonly truncating: Probe['truncating'] = (...args) => this.#tell('truncating', ...args);
  readonly installing: Probe['installing'] = (...args) => this.#tell('installing', ...args);
  readonly durable: Probe['durable'] = (...args) => this.#tell('durable', ...args);
  readonly truncated: Probe['truncated'] = (...args) => this.#tell('truncated', ...args);
  readonly installed: Probe['installed'] = (...args) => this.#tell('installed', ...args);
  readonly saved: Probe['saved'] = (...args) => this.#tell('saved', ...args);
  readonly epoch: Probe['epoch'] = (...args) => this.#tell('epoch', ...args);
  readonly sent: Probe['sent'] = (...args) => this.#tell('sent', ...args);
  readonly received: Probe['received'] = (...args) => this.#tell('received', ...args);
  readonly role: Probe['role'] = (...args) => this.#tell('role', ...args);
  readonly serving: Probe['serving'] = (...args) => this.#tell('serving', ...args);
  readonly applied: Probe['applied'] = (...args) => this.#tell('applied', ...args);
  readonly shown: Probe['shown'] = (...args) => this.#tell('shown', ...args);
  readonly did: Probe['did'] = (...args) => this.#tell('did', ...args);
}
