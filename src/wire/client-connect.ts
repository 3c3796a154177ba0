import type Long from 'long';
import { allocBytes } from '../util/bytes.ts';
import type { JuteReader, JuteWriter } from './jute.ts';

/** The first frame of a client (PROTOCOL 4). */
export interface ConnectRequest {
  readonly protocolVersion: number;
  /** The newest zxid that the client has seen: a server that is behind must not serve it. */
  readonly lastZxidSeen: Long;
  /** Wanted timeout, ms. */
  readonly timeout: number;
  /** 0 for a new session. */
  readonly sessionId: Long;
  readonly password: Uint8Array | null;
  /** Whether a server without a quorum will do; null when there is no such byte, as old clients write it. */
  readonly readOnly: boolean | null;
}

/** The first frame of a server (PROTOCOL 4). A timeout of 0 says that there is no such session; then the server closes the connection. */
export interface ConnectResponse {
  readonly protocolVersion: number;
  /** Granted timeout, ms. */
  readonly timeout: number;
  readonly sessionId: Long;
  readonly password: Uint8Array;
  /** Whether the server has no quorum and only reads; null when there is no such byte: the answer to an old client. */
  readonly readOnly: boolean | null;
}

export function encodeConnectRequest(w: JuteWriter, record: ConnectRequest): void {
  w.int(record.protocolVersion);
  w.long(record.lastZxidSeen);
  w.int(record.timeout);
  w.long(record.sessionId);
  w.bytes(record.password);
  if (record.readOnly !== null) w.bool(record.readOnly);
}

/** Throws {@link JuteError} for what is no ConnectRequest; the connection is to be closed then, without an answer. */
export function decodeConnectRequest(r: JuteReader): ConnectRequest {
  const protocolVersion = r.int();
  const lastZxidSeen = r.long();
  const timeout = r.int();
  const sessionId = r.long();
  const password = r.bytes();
  return { protocolVersion, lastZxidSeen, timeout, sessionId, password, readOnly: r.remaining === 0 ? null : r.bool() };
}

export function encodeConnectResponse(w: JuteWriter, record: ConnectResponse): void {
  w.int(record.protocolVersion);
  w.int(record.timeout);
  w.long(record.sessionId);
  w.bytes(record.password);
  if (record.readOnly !== null) w.bool(record.readOnly);
}

export function decodeConnectResponse(r: JuteReader): ConnectResponse {
  const protocolVersion = r.int();
  const timeout = r.int();
  const sessionId = r.long();
  const password = r.bytes() ?? allocBytes(0);
  return { protocolVersion, timeout, sessionId, password, readOnly: r.remaining === 0 ? null : r.bool() };
}
