import { expect, test } from 'vitest';
import { ZXID_NONE } from '../../src/model/zxid.ts';
import { resolveOptions } from '../../src/node/options.ts';
import { TransportKeeper } from '../../src/node/transport-keeper.ts';
import type { OpenTransport, TransportHandler } from '../../src/seams/transport.ts';
import { EnsembleConfig } from '../../src/zab/ensemble-config.ts';
import { nodeOptions } from './fake-replica.ts';

const server = (id: number) => ({ id, host: 'h', quorumPort: 10 + id, electionPort: 20 + id });
const MOVED = 'server.1=h:11:21:participant\nserver.4=x:1:2:participant\nversion=5';

/** A transport that opens and closes when the test says so. */
class Rig {
  readonly said: string[] = [];
  readonly #steps: (() => void)[] = [];
  readonly ensemble = new EnsembleConfig(1, [server(1), server(2)], ZXID_NONE);
  readonly keeper: TransportKeeper;

  constructor() {
    const open = { close: (done: () => void) => this.#later('close', done) } as OpenTransport;
    const transport = {
      open: (
        { servers }: { servers: readonly { id: number }[] },
        _: TransportHandler,
        done: (error: null, opened: OpenTransport) => void,
      ) => this.#later(`open among ${servers.map(({ id }) => id)}`, () => done(null, open)),
    };
    const options = resolveOptions(nodeOptions({ servers: [server(1), server(2)], transport: transport as never }));
    this.keeper = new TransportKeeper(options, this.ensemble, {} as TransportHandler);
  }

  #later(what: string, done: () => void): void {
    this.said.push(what);
    this.#steps.push(done);
  }

  readonly note = (what: string) => () => void this.said.push(what);

  /** What was asked of the transport last is done. */
  step(): void {
    this.#steps.shift()?.();
  }
}

test('it is opened again among the members that there are then', () => {
  const rig = new Rig();
  rig.keeper.open(rig.note('opened'));
  expect(rig.keeper.current).toBeNull();
  rig.step();
  rig.ensemble.take(MOVED);
  rig.keeper.reopen(rig.note('opened again'));
  expect(rig.keeper.current).toBeNull();
  rig.step();
  rig.step();
  expect(rig.keeper.current).not.toBeNull();
  rig.keeper.close(rig.note('closed'));
  rig.step();
  expect(rig.said).toEqual(['open among 1,2', 'opened', 'close', 'open among 1,4', 'opened again', 'close', 'closed']);
});

test.each([
  ['while it opens', 0, ['open among 1,2', 'close', 'closed']],
  ['while it is closed to be opened again', 1, ['open among 1,2', 'opened', 'close', 'closed']],
  ['while it opens again', 2, ['open among 1,2', 'opened', 'close', 'open among 1,2', 'close', 'closed']],
])('an end that comes %s waits until nothing is open, and is the last thing that is told', (_when, steps, said) => {
  const rig = new Rig();
  rig.keeper.open(rig.note('opened'));
  if (steps > 0) {
    rig.step();
    rig.keeper.reopen(rig.note('opened again'));
  }
  if (steps > 1) rig.step();
  rig.keeper.close(rig.note('closed'));
  expect(rig.said).not.toContain('closed');
  rig.step();
  rig.step();
  expect(rig.said).toEqual(said);
  expect(rig.keeper.current).toBeNull();
});

test('one that was never opened is closed at once', () => {
  const rig = new Rig();
  rig.keeper.close(rig.note('closed'));
  expect(rig.said).toEqual(['closed']);
});
