import { Err, Op } from '../model/codes.ts';
import { ZabError } from '../model/errors.ts';
import { octetsFromText, octetsToBytes } from '../util/bytes.ts';
import { type AuthRequest, Xid } from '../wire/client-requests.ts';
import type { Connection } from './connection.ts';
import { type Credential, checkedCredential } from './options.ts';
import { notSent } from './remote-calls.ts';

/** A credential that a server was given and has not answered yet. */
interface Proof {
  readonly credential: Credential;
  /** The `addAuth` that asks; null for what the session had before this connection. */
  readonly call: { resolve(): void; reject(error: unknown): void } | null;
}

/** Who a session is: its credentials, which every connection is given before anything else, and their answers. */
export class Identities {
  readonly #known: Credential[];
  /** In the order sent, which is the order of the answers. */
  #proofs: Proof[] = [];

  constructor(known: readonly Credential[]) {
    this.#known = [...known];
  }

  /** Whether the server has taken all that the session had before the connection. */
  get isProven(): boolean {
    return this.#proofs.every(({ call }) => call !== null);
  }

  /** Gives a new connection what is known. */
  prove(connection: Connection): void {
    for (const credential of this.#known) {
      connection.send(Xid.auth, request(credential));
      this.#proofs.push({ credential, call: null });
    }
  }

  /** Adds an identity. Rejects with AUTH_FAILED if the server refuses it, which also ends the connection; the session goes on without it. */
  add(connection: Connection, scheme: string, secret: string | Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      const credential = checkedCredential({ scheme, credential: secret });
      connection.send(Xid.auth, request(credential));
      this.#proofs.push({ credential, call: { resolve, reject } });
    });
  }

  /** The server's word on the first proof that waits. Returns why the session can't go on, or null if it can. */
  answered(err: number): string | null {
    const proof = this.#proofs.shift();
    if (proof === undefined) return null;
    const { credential, call } = proof;
    if (err === Err.ok) {
      if (call !== null) this.#known.push(credential);
      call?.resolve();
      return null;
    }
    if (call === null) return `the server refused an identity of scheme ${credential.scheme} (${err})`;
    call.reject(new ZabError('AUTH_FAILED', `AUTH_FAILED (${err}): the server refused this identity of scheme ${credential.scheme}`));
    return null;
  }

  /** The connection is over; the server forgets what it was given. */
  lost(connection: Connection): void {
    this.end(notSent('', `the connection to ${connection.name} ended before the identity was known`));
  }

  end(error: ZabError): void {
    const proofs = this.#proofs;
    this.#proofs = [];
    for (const { call } of proofs) call?.reject(error);
  }
}

function request({ scheme, credential }: Credential): AuthRequest {
  const auth = typeof credential === 'string' ? octetsToBytes(octetsFromText(credential)) : credential;
  return { op: Op.auth, type: 0, scheme, auth };
}
