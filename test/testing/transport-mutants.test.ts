import { expect, it } from 'vitest';
import type { OpenTransport, QuorumLink, QuorumLinkHandler, Transport, TransportHandler } from '../../src/seams/transport.ts';
import { Kernel } from '../../src/testing/kernel.ts';
import { Machine } from '../../src/testing/machine.ts';
import { Trace } from '../../src/testing/trace.ts';
import type { TransportHarness } from '../../src/testing/transport-bench.ts';
import { transportConformance } from '../../src/testing/transport-conformance.ts';
import { MemoryNetwork } from '../../src/transport/memory.ts';
import { octetsFromText } from '../../src/util/bytes.ts';
import type { ElectionMessage, QuorumMessage } from '../../src/zab/messages.ts';
import { Packet } from '../../src/zab/messages.ts';

/* Transports with one small fault each: the suite must find every one, or it checks nothing. */

/** Where a right transport is spoilt. Each gets the right call as `next`, and what it is about. */
interface Spoil {
  open?(next: () => void, done: (error: Error | null, open?: OpenTransport) => void, open: OpenTransport): void;
  failedOpen?(next: () => void, done: (error: Error | null, open?: OpenTransport) => void): void;
  send?(next: (message: QuorumMessage) => void, message: QuorumMessage, link: SpoiltLink): void;
  closeLink?(next: () => void, link: SpoiltLink): void;
  buffered?(value: number): number;
  messages?(next: (batch: readonly QuorumMessage[]) => void, batch: readonly QuorumMessage[], link: SpoiltLink): void;
  drained?(next: () => void, link: SpoiltLink): void;
  closed?(next: () => void, link: SpoiltLink): void;
  dial?(next: () => QuorumLink, peer: number, handler: QuorumLinkHandler): QuorumLink;
  sendElection?(next: (message: ElectionMessage) => void, peer: number, message: ElectionMessage, open: OpenTransport): void;
  election?(next: (message: ElectionMessage) => void, message: ElectionMessage, from: number): void;
  electionLink?(next: (up: boolean) => void, up: boolean): void;
  electionLinkUp?(value: boolean): boolean;
  reconnectElection?(next: () => void): void;
  close?(next: () => void, done: () => void): void;
}

/** One side of a link on its way through the fault. */
class SpoiltLink implements QuorumLink {
  inner: QuorumLink | null = null;
  closedByOwner = false;
  sent = 0;
  received = 0;

  constructor(
    readonly spoil: Spoil,
    readonly handler: QuorumLinkHandler | null,
  ) {}

  get remote(): string {
    return this.inner?.remote ?? '';
  }
  get buffered(): number {
    const value = this.inner?.buffered ?? 0;
    return this.spoil.buffered?.(value) ?? value;
  }
  send(message: QuorumMessage): void {
    this.sent++;
    const next = (m: QuorumMessage): void => this.inner?.send(m);
    if (this.spoil.send === undefined) next(message);
    else this.spoil.send(next, message, this);
  }
  close(reason: string): void {
    const next = (): void => this.inner?.close(reason);
    if (this.spoil.closeLink === undefined) next();
    else this.spoil.closeLink(next, this);
    this.closedByOwner = true;
  }
}

function spoilHandler(spoil: Spoil, link: SpoiltLink, handler: QuorumLinkHandler): QuorumLinkHandler {
  return {
    messages(batch) {
      const next = (b: readonly QuorumMessage[]): void => handler.messages(b);
      link.received += batch.length;
      if (spoil.messages === undefined) next(batch);
      else spoil.messages(next, batch, link);
    },
    drained() {
      if (spoil.drained === undefined) handler.drained();
      else spoil.drained(() => handler.drained(), link);
    },
    closed(reason) {
      if (spoil.closed === undefined) handler.closed(reason);
      else spoil.closed(() => handler.closed(reason), link);
    },
  };
}

function spoilOpen(spoil: Spoil, open: OpenTransport): OpenTransport {
  return {
    sendElection(peer, message) {
      const next = (m: ElectionMessage): void => open.sendElection(peer, m);
      if (spoil.sendElection === undefined) next(message);
      else spoil.sendElection(next, peer, message, open);
    },
    electionLinkUp(peer) {
      const value = open.electionLinkUp(peer);
      return spoil.electionLinkUp?.(value) ?? value;
    },
    reconnectElection() {
      if (spoil.reconnectElection === undefined) open.reconnectElection();
      else spoil.reconnectElection(() => open.reconnectElection());
    },
    dial(peer, handler) {
      const next = (): QuorumLink => {
        const link = new SpoiltLink(spoil, handler);
        link.inner = open.dial(peer, spoilHandler(spoil, link, handler));
        return link;
      };
      return spoil.dial?.(next, peer, handler) ?? next();
    },
    close(done) {
      if (spoil.close === undefined) open.close(done);
      else spoil.close(() => open.close(done), done);
    },
  };
}

function spoilTransport(spoil: Spoil, transport: Transport): Transport {
  return {
    open(options, handler, done) {
      const outer: TransportHandler = {
        incoming(inner) {
          const link = new SpoiltLink(spoil, null);
          link.inner = inner;
          return spoilHandler(spoil, link, handler.incoming(link));
        },
        election(from, message) {
          const next = (m: ElectionMessage): void => handler.election(from, m);
          if (spoil.election === undefined) next(message);
          else spoil.election(next, message, from);
        },
        electionLink(peer, up) {
          const next = (u: boolean): void => handler.electionLink(peer, u);
          if (spoil.electionLink === undefined) next(up);
          else spoil.electionLink(next, up);
        },
      };
      transport.open(options, outer, (error, open) => {
        if (error !== null || open === undefined) {
          if (spoil.failedOpen === undefined) done(error);
          else spoil.failedOpen(() => done(error), done);
          return;
        }
        const spoilt = spoilOpen(spoil, open);
        const next = (): void => done(null, spoilt);
        if (spoil.open === undefined) next();
        else spoil.open(next, done, spoilt);
      });
    },
  };
}

const twice = (next: () => void): void => {
  next();
  next();
};
const never = (): void => {};
const deadLink: QuorumLink = { remote: 'nobody', buffered: 0, send: never, close: never };
/** It listens nowhere. */
const deafTransport: OpenTransport = {
  sendElection: never,
  electionLinkUp: () => false,
  reconnectElection: never,
  dial: () => deadLink,
  close: (done) => queueMicrotask(done),
};
const notification = (message: ElectionMessage, change: object): ElectionMessage =>
  message.kind === 'notification' ? { ...message, ...change } : message;

/** Faults that need a state of their own are made anew for each test. */
const mutants: Record<string, () => Spoil> = {
  'open that calls back twice': () => ({ open: twice }),
  'open that never tells of a failure': () => ({ failedOpen: never }),
  'open that tells of a failure twice': () => ({ failedOpen: twice }),
  'open without an error at an address that is taken': () => ({ failedOpen: (_next, done) => done(null, deafTransport) }),
  'a message lost in a hundred': () => ({ send: (next, message, link) => (link.sent % 100 === 99 ? undefined : next(message)) }),
  'the first message lost, as before the link stands': () => ({
    send: (next, message, link) => (link.sent === 1 ? undefined : next(message)),
  }),
  'a message that comes twice': () => ({
    messages: (next, batch, link) => next(link.received % 7 === 0 ? [...batch, batch[batch.length - 1]] : batch),
  }),
  'a batch in the wrong order': () => ({ messages: (next, batch) => next([...batch].reverse()) }),
  'an empty batch': () => ({
    messages: (next, batch) => {
      next(batch);
      next([]);
    },
  }),
  'messages after the own close': () => ({
    closeLink: (next, link) => {
      next();
      if (link.handler !== null) queueMicrotask(() => link.handler?.messages([{ type: Packet.SNAPSHOT_END }]));
    },
  }),
  'closed told twice': () => ({ closed: twice }),
  'closed never told': () => ({ closed: never }),
  'closed told after the own close': () => ({
    closeLink: (next, link) => {
      next();
      queueMicrotask(() => link.handler?.closed('own'));
    },
  }),
  'closed told inside the own close': () => ({
    closeLink: (next, link) => {
      next();
      if (!link.closedByOwner) link.handler?.closed('own');
    },
  }),
  'a close that the other side does not see': () => ({ closeLink: never }),
  'a second close that throws': () => ({
    closeLink: (next, link) => {
      if (link.closedByOwner) throw new Error('closed already');
      next();
    },
  }),
  'send that throws after a close': () => ({
    send: (next, message, link) => {
      if (link.closedByOwner) throw new Error('closed already');
      next(message);
    },
  }),
  'dial of an unknown id that fails at once': () => ({
    dial: (next, peer, handler) => {
      if (peer < 9) return next();
      handler.closed('unknown');
      return deadLink;
    },
  }),
  'dial of an unknown id that throws': () => ({
    dial: (next, peer) => {
      if (peer >= 9) throw new Error('unknown');
      return next();
    },
  }),
  'one link for all calls of dial': () => {
    const links = new Map<number, QuorumLink>();
    return {
      dial: (next, peer) => {
        const link = links.get(peer) ?? next();
        links.set(peer, link);
        return link;
      },
    };
  },
  'drained never told': () => ({ drained: never }),
  'drained told inside send': () => ({
    send: (next, message, link) => {
      next(message);
      link.handler?.drained();
    },
  }),
  'drained told with bytes left': () => ({ buffered: (value) => value + 1 }),
  'nothing counted as buffered': () => ({ buffered: () => 0 }),
  'snapshots without their end': () => ({
    messages: (next, batch) => {
      const rest = batch.filter((m) => m.type !== Packet.SNAPSHOT_END);
      if (rest.length > 0) next(rest);
    },
  }),
  'null data that becomes empty': () => ({
    send: (next, message) =>
      next(
        message.type === Packet.SNAPSHOT_NODES
          ? { ...message, nodes: message.nodes.map((node) => ({ ...node, data: node.data ?? octetsFromText('') })) }
          : message,
      ),
  }),
  'requests without their identities': () => ({
    send: (next, message) => next(message.type === Packet.REQUEST ? { ...message, request: { ...message.request, auth: [] } } : message),
  }),
  'a NEWLEADER whose null config becomes empty': () => ({
    send: (next, message) => next(message.type === Packet.NEWLEADER ? { ...message, config: message.config ?? '' } : message),
  }),
  'a PING with no touches that becomes one with null': () => ({
    send: (next, message) => next(message.type === Packet.PING && message.touches?.length === 0 ? { ...message, touches: null } : message),
  }),
  'a large transaction that is refused': () => ({
    send: (next, message, link) => ('entry' in message && message.entry.bytes.length > 1_048_575 ? link.close('too large') : next(message)),
  }),
  'a large request that is let through': () => ({
    send: (next, message) =>
      next(
        message.type === Packet.REQUEST && (message.request.body?.length ?? 0) > 90_000
          ? { ...message, request: { ...message.request, body: message.request.body?.subarray(0, 90_000) ?? null } }
          : message,
      ),
  }),
  'election messages that are lost without a link': () => ({
    sendElection: (next, peer, message, open) => {
      if (open.electionLinkUp(peer)) next(message);
      else open.reconnectElection();
    },
  }),
  'the oldest election message wins': () => {
    const waiting = new Set<number>();
    return {
      sendElection: (next, peer, message, open) => {
        if (open.electionLinkUp(peer)) return next(message);
        if (!waiting.has(peer)) next(message);
        waiting.add(peer);
      },
    };
  },
  'an election message that was replaced comes as well': () => ({
    election: (next, message) => {
      if (message.kind === 'notification' && message.leader === 5) next({ ...message, leader: 4 });
      next(message);
    },
  }),
  'an older election message comes last': () => ({
    election: (next, message) => {
      next(message);
      if (message.kind === 'notification' && message.leader === 209) next({ ...message, leader: 208 });
    },
  }),
  'election messages to unknown ids come to somebody': () => ({
    sendElection: (next, peer, message, open) => {
      if (peer >= 9) open.sendElection(2, message);
      else next(message);
    },
  }),
  'an election message that comes inside the call': () => {
    const heard: ((message: ElectionMessage) => void)[] = [];
    return {
      election: (next, message) => {
        heard.push(next);
        next(message);
      },
      sendElection: (next, _peer, message) => {
        next(message);
        heard[0]?.(message);
      },
    };
  },
  'an old notification that is given an epoch': () => ({
    election: (next, message) =>
      next(message.kind === 'notification' ? notification(message, { peerEpoch: message.peerEpoch ?? 0 }) : message),
  }),
  'a notification without its config': () => ({ election: (next, message) => next(notification(message, { config: null })) }),
  'ids of the basic election cut to seven bits': () => ({
    election: (next, message) => next(message.kind === 'voteResponse' ? { ...message, leader: message.leader & 127 } : message),
  }),
  'that a link is up is not told': () => ({ electionLink: (next, up) => (up ? undefined : next(up)) }),
  'that a link is down is not told': () => ({ electionLink: (next, up) => (up ? next(up) : undefined) }),
  'election links said to be up always': () => ({ electionLinkUp: () => true }),
  'election links said to be up never': () => ({ electionLinkUp: () => false }),
  'reconnectElection does nothing': () => ({ reconnectElection: never }),
  'close calls back inside the call': () => ({
    close: (next, done) => {
      next();
      done();
    },
  }),
  'close never calls back the second time': () => {
    let closed = false;
    return {
      close: (next) => {
        if (!closed) next();
        closed = true;
      },
    };
  },
  'close that closes nothing': () => ({ close: (_next, done) => queueMicrotask(done) }),
  'dial after the close that throws': () => {
    let closed = false;
    return {
      close: (next) => {
        closed = true;
        next();
      },
      dial: (next) => {
        if (closed) throw new Error('closed');
        return next();
      },
    };
  },
};

/** Right transports, but for the fault; each transport of a test has its own. */
const harness = (makeSpoil: () => Spoil) => async (): Promise<TransportHarness> => {
  const kernel = new Kernel(new Trace(0), 1_000_000);
  const machine = new Machine(kernel, 1);
  machine.boot();
  const network = new MemoryNetwork(machine.clock);
  network.setDelay(1.5);
  return {
    clock: machine.clock,
    addresses: async (ids) => ids.map((id) => ({ id, host: 'memory', quorumPort: 1, electionPort: 2 })),
    transport: () => spoilTransport(makeSpoil(), network.transport()),
    until: (condition, what) => kernel.until(condition, 5000, () => what),
    cut: (a, b) => network.cut(a, b),
    stall: (a, b) => network.cut(a, b, { stall: true }),
    heal: () => network.heal(),
  };
};

/** The first case that a transport with this fault does not pass. */
async function caught(makeSpoil: () => Spoil): Promise<string | undefined> {
  for (const { name, run } of transportConformance(harness(makeSpoil), { cuts: true, stalls: true })) {
    try {
      await run();
    } catch {
      return name;
    }
  }
  return undefined;
}

it('the right transport is found right', async () => {
  expect(await caught(() => ({}))).toBeUndefined();
});

it.each(Object.entries(mutants))('finds %s', async (_name, makeSpoil) => {
  expect(await caught(makeSpoil)).toBeDefined();
});
