import { connect, type Session } from 'zab-ensemble';
import { answerCalls } from '../../examples/support/processes.ts';
import { fillBy } from './load.ts';
import { monotonicNow } from './observer-clock.ts';

/* A client of a server of Apache ZooKeeper, in a process of its own. */

let session: Session;
let next = 1;

export interface NumbersOptions {
  readonly path: string;
  readonly count: number;
  /** Writes under way at a time. */
  readonly outstanding: number;
  /** Pause after each, ms. */
  readonly pause: number;
}

/** Times when a number was asked to be written, and when the answer was there. */
export type Written = readonly [number: number, asked: number, acknowledged: number];

const handlers = {
  open: async ({ port }: { port: number }): Promise<void> => {
    session = await connect(`127.0.0.1:${port}`, { timeout: 30_000 });
  },
  fill: ({ parent, znodes }: { parent: string; znodes: number }): Promise<void> => fillBy(session, parent, znodes),
  create: async ({ path }: { path: string }): Promise<void> => {
    await session.create(path, '0');
  },

  /** Writes numbers that were never written before. */
  write: async ({ path, count, outstanding, pause }: NumbersOptions): Promise<Written[]> => {
    const written: Written[] = [];
    const end = next + count;
    const lane = async (): Promise<void> => {
      while (next < end) {
        const number = next++;
        const asked = monotonicNow();
        await session.setData(path, String(number));
        written.push([number, asked, monotonicNow()]);
        if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
      }
    };
    await Promise.all(Array.from({ length: outstanding }, lane));
    return written;
  },
};
export type WriterHandlers = typeof handlers;

answerCalls(handlers);
