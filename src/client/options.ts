import Long from 'long';
import { ZabError } from '../model/errors.ts';
import type { SessionOptions } from '../node/api.ts';
import type { Clock } from '../seams/clock.ts';
import type { Logger } from '../seams/logger.ts';
import type { Random } from '../seams/random.ts';
import type { Sockets } from '../seams/sockets.ts';
import { type ConnectString, parseConnectString } from './address.ts';

/** Proof of an identity: `credential` is `user:password` for the scheme `digest`. */
export interface Credential {
  readonly scheme: string;
  readonly credential: string | Uint8Array;
}

/** How a session over the wire behaves; times in ms. */
export interface ConnectOptions extends SessionOptions {
  readonly sockets: Sockets;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger?: Logger;
  /** Identities that the session has from the start, as `addAuth` adds them. */
  readonly auth?: readonly Credential[];
  /**
   * Takes a server without a quorum if no other is found: it answers reads with what it has. A server with a quorum is looked for meanwhile, and the session moves there.
   * @default false
   */
  readonly readOnly?: boolean;
  /** How long to look for a server before `connect` gives up; Infinity is for ever. @default 30000 */
  readonly openTimeout?: number;
  /** How long one server may take to answer before the next is tried. @default a third of the session's timeout divided by the number of servers, at least 1000 */
  readonly connectTimeout?: number;
  /**
   * Pauses between rounds through the servers while none answers: they double from `min` to `max`, and each is cut at random by up to a half. No pause is longer than a sixth of the session's
   * timeout.
   * @default 50 and 2000
   */
  readonly backoff?: { readonly min?: number; readonly max?: number };
  /** Largest request, bytes: not over the servers' jute.maxbuffer. @default 1048575 */
  readonly maxRequestBytes?: number;
  /** Largest reply that is taken, bytes; a longer one ends its connection. @default 16777216 */
  readonly maxReplyBytes?: number;
  /** Calls that may be under way at once; past it they fail with OVERLOADED. @default 100000 */
  readonly maxOutstanding?: number;
}

export interface ResolvedConnectOptions extends ConnectString {
  readonly sockets: Sockets;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly auth: readonly Credential[];
  readonly readOnly: boolean;
  readonly timeout: number;
  readonly resume: { readonly id: Long; readonly password: Uint8Array } | null;
  readonly openTimeout: number;
  /** Null: by the session's timeout. */
  readonly connectTimeout: number | null;
  readonly minBackoff: number;
  readonly maxBackoff: number;
  readonly maxRequestBytes: number;
  readonly maxReplyBytes: number;
  readonly maxOutstanding: number;
}

const MAX_INT = 0x7fffffff;
const SILENT: Logger = () => {};

function whole(name: string, value: number, least: number): number {
  if (!Number.isInteger(value) || value < least || value > MAX_INT) {
    throw new ZabError('BAD_OPTIONS', `option ${name}: must be a whole number from ${least}, not ${String(value)}`);
  }
  return value;
}

/** Fills in what is not given. Throws BAD_OPTIONS, and BAD_ARGUMENTS for what `openSession` refuses with it. */
export function resolveConnectOptions(servers: string, options: ConnectOptions): ResolvedConnectOptions {
  const minBackoff = whole('backoff.min', options.backoff?.min ?? 50, 1);
  const { openTimeout = 30_000, connectTimeout } = options;
  if (openTimeout !== Number.POSITIVE_INFINITY) whole('openTimeout', openTimeout, 1);
  return {
    ...parseConnectString(servers),
    sockets: options.sockets,
    clock: options.clock,
    random: options.random,
    logger: options.logger ?? SILENT,
    auth: (options.auth ?? []).map(checkedCredential),
    readOnly: options.readOnly ?? false,
    timeout: checkedTimeout(options.timeout ?? 10_000),
    resume: options.resume === undefined ? null : checkedResume(options.resume),
    openTimeout,
    connectTimeout: connectTimeout === undefined ? null : whole('connectTimeout', connectTimeout, 1),
    minBackoff,
    maxBackoff: whole('backoff.max', options.backoff?.max ?? Math.max(2000, minBackoff), minBackoff),
    maxRequestBytes: whole('maxRequestBytes', options.maxRequestBytes ?? 0xfffff, 1024),
    maxReplyBytes: whole('maxReplyBytes', options.maxReplyBytes ?? 1 << 24, 1024),
    maxOutstanding: whole('maxOutstanding', options.maxOutstanding ?? 100_000, 1),
  };
}

function checkedTimeout(timeout: number): number {
  if (Number.isInteger(timeout) && timeout >= 0 && timeout <= MAX_INT) return timeout;
  throw new ZabError('BAD_ARGUMENTS', `BAD_ARGUMENTS: a session’s timeout must be a whole number of ms, not ${String(timeout)}`);
}

function checkedResume(resume: NonNullable<SessionOptions['resume']>): NonNullable<ResolvedConnectOptions['resume']> {
  const { id, password } = resume;
  if (Long.isLong(id) && password instanceof Uint8Array) return { id: id.toUnsigned(), password: copyOf(password) };
  throw new ZabError('BAD_ARGUMENTS', 'BAD_ARGUMENTS: to go on with a session takes its id as a Long and its password as bytes');
}

/** A copy, so that later changes by the caller do nothing. */
export function checkedCredential({ scheme, credential }: Credential): Credential {
  if (typeof scheme === 'string' && typeof credential === 'string') return { scheme, credential };
  if (typeof scheme === 'string' && credential instanceof Uint8Array) return { scheme, credential: copyOf(credential) };
  throw new ZabError('BAD_ARGUMENTS', 'BAD_ARGUMENTS: an identity takes a scheme and a credential, a string or bytes');
}

/** `slice()` would do for a plain array, but a Buffer's shares its memory. */
const copyOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes);
