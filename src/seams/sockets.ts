/** What a connection tells its owner. No call comes from inside a call of the owner. */
export interface SocketHandler {
  /** A dialled connection stands. Not called for an accepted one. */
  opened(): void;
  /** Bytes in the order sent, in pieces of any size. The chunk may be used again after the call. */
  data(chunk: Uint8Array): void;
  /** The other side will send nothing more. What is written still goes to it: the owner has to `end` or `destroy` in turn, now or later. */
  ended(): void;
  /**
   * Exactly once and last, whoever ended it, after {@link ByteSocket.destroy} too: nothing is left of it. `reason` is empty for an end without an error:
   * both sides have said `end`, or this one has destroyed it.
   */
  closed(reason: string): void;
}

/** One connection of ordered bytes. No method throws; after the end none does anything. */
export interface ByteSocket {
  /** The other side's address and port, for logs. */
  readonly remote: string;
  /** Bytes handed over and not yet taken by the network. */
  readonly pending: number;
  /**
   * Queues bytes, before `opened` too; they must not change before `taken` is called. `taken` (once, in the order of the writes, never from inside this call) means that
   * the network has them; it is not called once the connection is over.
   */
  write(bytes: Uint8Array, taken?: () => void): void;
  /** Says that nothing more is sent, after what was written; a later write does nothing. What comes in is still told. */
  end(): void;
  /**
   * Until `resume` neither `data` nor `ended` is told, and so no end that comes after them. What arrives waits: a little of it here (some 100 KiB at most), the rest in the network, whose
   * window fills up until the other side can send no more. A connection that breaks is `closed` meanwhile, but that may be noticed by writing only. May be called before
   * `opened` and inside `accept`, and as often as one likes: one `resume` ends it.
   */
  pause(): void;
  /** Goes on after {@link pause}, later: nothing is told from inside this call. Else does nothing. */
  resume(): void;
  /** Ends it at once; what was written may be lost. Nothing but `closed` is told from then on. */
  destroy(): void;
}

/** A port that is listened on. */
export interface Listener {
  /** Takes no more connections; those that stand stay. To be called once. `done` once, never from inside this call, when the port is free. */
  close(done: () => void): void;
}

/** The byte level under the TCP transport, so that a simulator can tear frames, hold bytes back and break connections below the real codecs. */
export interface Sockets {
  /** Connects to an address or a name. A name that is not known, or an address or port that is none, is an end like any other: `closed` tells. */
  connect(host: string, port: number, handler: SocketHandler): ByteSocket;
  /**
   * Listens on an address. `accept` returns the handler of each new connection. `done` once, never from inside this call: with an error (port in use, no such address, a
   * port that is none) or the listener. `trouble` tells that connections could not be taken, such as for want of file descriptors; it goes on listening.
   */
  listen(
    host: string,
    port: number,
    accept: (socket: ByteSocket) => SocketHandler,
    done: (error: Error | null, listener?: Listener) => void,
    trouble: (reason: string) => void,
  ): void;
  /** Finds the address of a name; an address is its own. `done` once, never from inside this call. */
  lookup(host: string, done: (error: Error | null, address?: string) => void): void;
}
