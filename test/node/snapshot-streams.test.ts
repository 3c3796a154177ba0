import Long from 'long';
import { beforeEach, expect, test } from 'vitest';
import type { SnapshotSource, ZnodeRecord } from '../../src/model/records.ts';
import { SnapshotStreams, type StreamHost } from '../../src/node/snapshot-streams.ts';
import { systemClock } from '../../src/node/system-clock.ts';
import type { QuorumLink } from '../../src/seams/transport.ts';
import { Packet, type QuorumMessage } from '../../src/zab/messages.ts';
import { eventually } from '../ensemble/client.ts';

/** A link that takes everything, or holds it until it is told to drain. */
class FakeLink implements QuorumLink {
  buffered = 0;
  readonly sent: QuorumMessage['type'][] = [];
  constructor(
    readonly remote: string,
    readonly slow = false,
  ) {}
  send(message: QuorumMessage): void {
    this.sent.push(message.type);
    if (this.slow) this.buffered += 2 << 20;
  }
  close(): void {}
}

class FakeSource implements SnapshotSource {
  readonly zxid = Long.UZERO;
  readonly head = { sessions: [], acls: [] };
  closed = 0;
  constructor(public slices: number) {}
  next(): readonly ZnodeRecord[] {
    return this.slices-- > 0 ? [{} as ZnodeRecord] : [];
  }
  digest = () => null;
  close(): void {
    this.closed++;
  }
}

const done: string[] = [];
const host: StreamHost = {
  streamProgress: () => {},
  streamDone: (link) => done.push(link.remote),
  streamFailed: (_link, error) => {
    throw error;
  },
};
beforeEach(() => {
  done.length = 0;
});

test('sends head, slices and end, and closes the walk', async () => {
  const streams = new SnapshotStreams(1, systemClock(), host);
  const link = new FakeLink('a');
  const source = new FakeSource(3);
  streams.start(link, () => source);
  await eventually('the stream is done', () => done.length === 1);
  const { SNAPSHOT_HEAD, SNAPSHOT_NODES, SNAPSHOT_END } = Packet;
  expect(link.sent).toEqual([SNAPSHOT_HEAD, SNAPSHOT_NODES, SNAPSHOT_NODES, SNAPSHOT_NODES, SNAPSHOT_END]);
  expect(source.closed).toBe(1);
});

test('opens no more walks at a time than it may, and the next one when a link of those is gone', async () => {
  const streams = new SnapshotStreams(2, systemClock(), host);
  const links = ['a', 'b', 'c'].map((name) => new FakeLink(name, true));
  const sources = links.map(() => new FakeSource(1));
  const opened: string[] = [];
  for (const [k, link] of links.entries()) {
    streams.start(link, () => {
      opened.push(link.remote);
      return sources[k];
    });
  }
  await eventually('two streams wait for their links', () => links[0].buffered > 0 && links[1].buffered > 0);
  expect(opened).toEqual(['a', 'b']);
  streams.cancel(links[0]);
  await eventually('the third stream has begun', () => links[2].buffered > 0);
  expect(sources[0].closed).toBe(1);
  expect(done).toEqual([]);
  for (const link of links.slice(1)) {
    link.buffered = 0;
    streams.drained(link);
  }
  await eventually('both are done', () => done.length === 2);
  expect(done.sort()).toEqual(['b', 'c']);
  expect(sources.map((source) => source.closed)).toEqual([1, 1, 1]);
});
