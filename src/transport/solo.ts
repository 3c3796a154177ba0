import type { OpenTransport, QuorumLink, QuorumLinkHandler, Transport } from '../seams/transport.ts';

/** The transport of a server that is alone for good: it opens no port and reaches nobody. */
export function soloTransport(): Transport {
  return {
    open({ clock }, _handler, done) {
      let closed = false;
      const dial = (peer: number, handler: QuorumLinkHandler): QuorumLink => {
        let open = true;
        clock.defer(() => {
          if (open && !closed) handler.closed('there is no other server');
        });
        return { remote: `server ${peer}`, buffered: 0, send() {}, close: () => void (open = false) };
      };
      const transport: OpenTransport = {
        sendElection() {},
        electionLinkUp: () => false,
        reconnectElection() {},
        dial,
        close(gone) {
          closed = true;
          clock.defer(gone);
        },
      };
      clock.defer(() => done(null, transport));
    },
  };
}
