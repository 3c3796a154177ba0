import { Err } from './codes.ts';

/** What became of a request that ended with an error: it surely changed nothing, or nobody here knows whether it did. */
export type Outcome = 'not-done' | 'unknown';

const NUMBER_OF_CODE = {
  SYSTEM_ERROR: Err.systemError,
  RUNTIME_INCONSISTENCY: Err.runtimeInconsistency,
  DATA_INCONSISTENCY: Err.dataInconsistency,
  MARSHALLING_ERROR: Err.marshallingError,
  UNIMPLEMENTED: Err.unimplemented,
  BAD_ARGUMENTS: Err.badArguments,
  UNKNOWN_SESSION: Err.unknownSession,
  NEW_CONFIG_NO_QUORUM: Err.newConfigNoQuorum,
  RECONFIG_IN_PROGRESS: Err.reconfigInProgress,
  NO_NODE: Err.noNode,
  NO_AUTH: Err.noAuth,
  BAD_VERSION: Err.badVersion,
  NO_CHILDREN_FOR_EPHEMERALS: Err.noChildrenForEphemerals,
  NODE_EXISTS: Err.nodeExists,
  NOT_EMPTY: Err.notEmpty,
  SESSION_EXPIRED: Err.sessionExpired,
  INVALID_ACL: Err.invalidAcl,
  AUTH_FAILED: Err.authFailed,
  SESSION_MOVED: Err.sessionMoved,
  NOT_READ_ONLY: Err.notReadOnly,
  EPHEMERAL_ON_LOCAL_SESSION: Err.ephemeralOnLocalSession,
  NO_WATCHER: Err.noWatcher,
  REQUEST_TIMEOUT: Err.requestTimeout,
  RECONFIG_DISABLED: Err.reconfigDisabled,
  SESSION_CLOSED_REQUIRE_SASL_AUTH: Err.sessionClosedRequireSaslAuth,
  QUOTA_EXCEEDED: Err.quotaExceeded,
  THROTTLED_OP: Err.throttledOp,
  CONNECTION_LOSS: -4,
  OPERATION_TIMEOUT: -7,
} as const;

/**
 * ZooKeeper's error names, and four of this library's own: `NODE_STOPPED` (stop() was called or the replica failed), `OVERLOADED` (a limit on outstanding
 * requests was reached; nothing was sent), `ABORTED` (the caller's AbortSignal) and `BAD_OPTIONS` (an option out of rule).
 */
export type ErrorCode = keyof typeof NUMBER_OF_CODE | 'NODE_STOPPED' | 'OVERLOADED' | 'ABORTED' | 'BAD_OPTIONS';

const CODE_OF_NUMBER = new Map<number, ErrorCode>(Object.entries(NUMBER_OF_CODE).map(([code, n]) => [n, code as ErrorCode]));

/** An expected error of a call: tells what happened (`code`), to what (`path`) and what became of the request (`outcome`). */
export class ZabError extends Error {
  override readonly name = 'ZabError';

  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly outcome: Outcome = 'not-done',
    readonly path?: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }

  /** ZooKeeper's number for the code; undefined for this library's own. */
  get number(): number | undefined {
    return (NUMBER_OF_CODE as Record<string, number>)[this.code];
  }

  /** The error for a number that a server answered: the request was refused and changed nothing. */
  static fromNumber(err: number, path?: string): ZabError {
    const code = CODE_OF_NUMBER.get(err) ?? 'SYSTEM_ERROR';
    return new ZabError(code, `${code} (${err})${path === undefined ? '' : `: ${path}`}`, 'not-done', path);
  }
}
