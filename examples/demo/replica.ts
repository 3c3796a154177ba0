import { type EnsembleNode, formatZxid, type Session, ZabError } from 'zab-ensemble';
import { answerCalls, sharedNow } from '../support/processes.ts';
import { ReplicaProcess } from '../support/replica.ts';
import { connected } from '../support/sessions.ts';
import { FOLDER, nameOf } from './names.ts';

/* One replica of the demo, in a process of its own. The one that is asked to is also the writer. */

/** What the writer can say afterwards. */
export interface WriteReport {
  /** Per number: the zxid that created its znode, as the writer was told. */
  readonly zxids: readonly string[];
  /** Numbers that were acknowledged at the first try. */
  readonly firstTry: readonly boolean[];
  /** Calls that ended with CONNECTION_LOSS: those whose outcome was unknown, and those that were surely not done. */
  readonly unknown: number;
  readonly refused: number;
  /** Retries that found the znode there: the lost call had been carried out. */
  readonly doneBefore: number;
  /** The longest time between two acknowledgements, ms. */
  readonly longestWait: number;
  readonly milliseconds: number;
}

/** A znode as the replica itself has it. */
export interface Row {
  readonly name: string;
  readonly value: string;
  readonly czxid: string;
}

class Writer {
  readonly #zxids: string[] = [];
  readonly #firstTry: boolean[] = [];
  readonly #watermarks: { at: number; reached: () => void }[] = [];
  readonly #ackTimes: number[] = [];
  #next = 0;
  #unknown = 0;
  #refused = 0;
  #doneBefore = 0;

  constructor(
    readonly session: Session,
    readonly count: number,
  ) {}

  /** Creates the znodes 0..count-1 with so many calls under way at a time. */
  async run(outstanding: number): Promise<WriteReport> {
    const begin = sharedNow();
    this.#ackTimes.push(begin);
    await Promise.all(Array.from({ length: outstanding }, () => this.#lane()));
    return {
      zxids: this.#zxids,
      firstTry: this.#firstTry,
      unknown: this.#unknown,
      refused: this.#refused,
      doneBefore: this.#doneBefore,
      longestWait: longestGap(this.#ackTimes),
      milliseconds: sharedNow() - begin,
    };
  }

  get done(): number {
    return this.#ackTimes.length - 1;
  }

  /** Resolves when so many writes have been acknowledged. */
  acknowledged(at: number): Promise<void> {
    if (this.done >= at) return Promise.resolve();
    return new Promise((reached) => {
      this.#watermarks.push({ at, reached });
    });
  }

  async #lane(): Promise<void> {
    while (this.#next < this.count) await this.#write(this.#next++);
  }

  /** The name makes a retry harmless: a second create of the same number can only fail with NODE_EXISTS. */
  async #write(number: number): Promise<void> {
    const path = `${FOLDER}/${nameOf(number)}`;
    for (let tries = 1; ; tries++) {
      try {
        const { stat } = await this.session.create(path, String(number));
        return this.#acknowledge(number, formatZxid(stat.czxid), tries);
      } catch (error) {
        if (!(error instanceof ZabError)) throw error;
        if (error.code === 'NODE_EXISTS' && tries > 1) {
          this.#doneBefore++;
          const stat = await this.#stat(path);
          return this.#acknowledge(number, stat, tries);
        }
        if (error.code !== 'CONNECTION_LOSS') throw error;
        if (error.outcome === 'unknown') this.#unknown++;
        else this.#refused++;
        await connected(this.session);
      }
    }
  }

  async #stat(path: string): Promise<string> {
    for (;;) {
      try {
        const stat = await this.session.exists(path);
        if (stat === null) throw new Error(`${path}: exists, and then not`);
        return formatZxid(stat.czxid);
      } catch (error) {
        if (!(error instanceof ZabError) || error.code !== 'CONNECTION_LOSS') throw error;
        await connected(this.session);
      }
    }
  }

  #acknowledge(number: number, zxid: string, tries: number): void {
    this.#zxids[number] = zxid;
    this.#firstTry[number] = tries === 1;
    this.#ackTimes.push(sharedNow());
    while (this.#watermarks.length > 0 && this.#watermarks[0].at <= this.done) this.#watermarks.shift()?.reached();
  }
}

function longestGap(times: readonly number[]): number {
  let longest = 0;
  for (let i = 1; i < times.length; i++) longest = Math.max(longest, times[i] - times[i - 1]);
  return longest;
}

/** The znodes of the demo in the order in which they were created, read from the replica in this process and from nowhere else. */
function listInOrder(node: EnsembleNode): Row[] {
  const rows = (node.tree.getChildren(FOLDER) ?? []).map((name) => {
    const znode = node.tree.getData(`${FOLDER}/${name}`);
    return { name, value: znode?.text() ?? '', zxid: znode?.stat.czxid };
  });
  const order = (zxid: Row['czxid']): bigint => BigInt(zxid);
  return rows
    .map(({ name, value, zxid }) => ({ name, value, czxid: zxid === undefined ? '0x0' : formatZxid(zxid) }))
    .sort((a, b) => (order(a.czxid) < order(b.czxid) ? -1 : 1));
}

const replica = new ReplicaProcess();
let writer: Writer | undefined;

const handlers = {
  ...replica.handlers,

  prepareWriter: async ({ count }: { count: number }): Promise<void> => {
    const session = await replica.node.openSession({ timeout: 30_000 });
    await session.create(FOLDER);
    writer = new Writer(session, count);
  },
  write: ({ outstanding }: { outstanding: number }): Promise<WriteReport> | undefined => writer?.run(outstanding),
  acknowledged: ({ at }: { at: number }): Promise<void> | undefined => writer?.acknowledged(at),
  done: (): number => writer?.done ?? 0,
  list: (): Row[] => listInOrder(replica.node),
};
export type DemoHandlers = typeof handlers;

answerCalls(handlers);
