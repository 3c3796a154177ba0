import type Long from 'long';

/**
 * One transaction in the log: its zxid and its bytes (TxnHeader, record and optional digest, encoded once: the same bytes are the
 * log record's payload and the PROPOSAL's). To the protocol it is opaque; `txn` caches what the state machine made of the bytes.
 */
export class LogEntry {
  constructor(
    readonly zxid: Long,
    readonly bytes: Uint8Array,
    public txn: unknown = undefined,
  ) {}
}
