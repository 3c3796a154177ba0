import type { AnyRequest } from '../raw.ts';

/* What a differential run does, one step after the other. Sessions live in slots; zxids in requests are counted from the start of the run. */

/** Requests that a session sends at once, without waiting for the answers in between. */
export interface CallsStep {
  readonly kind: 'calls';
  readonly slot: number;
  readonly requests: readonly AnyRequest[];
}

/** A new session. `server` chooses among the servers of a target. */
export interface OpenStep {
  readonly kind: 'open';
  readonly slot: number;
  readonly server: number;
}

/** The connection goes, the session stays. */
export interface DropStep {
  readonly kind: 'drop';
  readonly slot: number;
}

/** The session goes on over a new connection; the old one may still be there. */
export interface AttachStep {
  readonly kind: 'attach';
  readonly slot: number;
  readonly server: number;
}

/** A handshake that no server takes. */
export interface RefusedStep {
  readonly kind: 'refused';
  readonly slot: number;
  readonly how: 'password' | 'unknown' | 'ahead';
}

/** The session is closed. */
export interface CloseStep {
  readonly kind: 'close';
  readonly slot: number;
}

/** The session is left alone until it has expired; `witness` has a watch on `path`, which is an ephemeral znode of it. */
export interface ExpireStep {
  readonly kind: 'expire';
  readonly slot: number;
  readonly witness: number;
  readonly path: string;
}

export type Step = CallsStep | OpenStep | DropStep | AttachStep | RefusedStep | CloseStep | ExpireStep;
