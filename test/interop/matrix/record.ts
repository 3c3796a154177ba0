import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer, Driver, RawStat } from './driver.ts';
import { CuttingProxy } from './proxy.ts';
import { ANY_ORDER, type Chapter, LONG, OPEN, type Run } from './run.ts';

/* Plays the script with one driver against one ensemble, and writes down each step with its answer in a form that can be compared. */

/** Servers that stand ready; the script counts them from 0. */
export interface Ensemble {
  readonly name: string;
  readonly ports: readonly number[];
}

export interface Step {
  readonly chapter: string;
  /** The verb and what fits of its fields. */
  readonly command: string;
  readonly answer: string;
}

const POLL_MS = 50;
const LIMIT_MS = 60_000;
/** What is told as a time lies in the last hour: servers have times of their own start too. */
const HOUR_MS = 3_600_000;
const TIME_SLACK_MS = 1000;

export async function record(driver: Driver, ensemble: Ensemble, chapters: readonly Chapter[], steps: Step[]): Promise<void> {
  const proxy = await CuttingProxy.before(ensemble.ports[0]);
  try {
    const recorder = new Recorder(driver, ensemble, proxy, steps);
    for (const chapter of chapters) await recorder.play(chapter);
  } finally {
    await proxy.close();
  }
}

class Recorder {
  readonly #driver: Driver;
  readonly #ensemble: Ensemble;
  readonly #proxy: CuttingProxy;
  readonly #steps: Step[];
  /** zxid of the root znode: all others are told as their distance to it. */
  #base = 0n;
  readonly #sessions = new Map<string, string>();

  constructor(driver: Driver, ensemble: Ensemble, proxy: CuttingProxy, steps: Step[]) {
    this.#driver = driver;
    this.#ensemble = ensemble;
    this.#proxy = proxy;
    this.#steps = steps;
  }

  /** Each chapter has a root of its own, so that it says the same whatever went before. */
  async play({ name, play }: Chapter): Promise<void> {
    const root = `/${name.replaceAll(' ', '-')}-by-${this.#driver.name}`;
    this.#sessions.clear();
    await this.#makeRoot(root);
    const step = async (verb: string, ...args: string[]): Promise<Answer> => {
      const answer = await this.#driver.call(verb, ...args);
      this.#write(name, root, [verb, ...args], answer);
      return answer;
    };
    const until: Run['until'] = async (isDone, verb, ...args) => {
      const end = Date.now() + LIMIT_MS;
      for (;;) {
        const answer = await this.#driver.call(verb, ...args);
        if (isDone(answer)) {
          this.#write(name, root, [verb, ...args], answer);
          return answer;
        }
        if (Date.now() > end) throw new Error(`${name}: ${verb} ${args.join(' ')} still answers ${JSON.stringify(answer)}`);
        await sleep(POLL_MS);
      }
    };
    const proxied = `127.0.0.1:${this.#proxy.port}`;
    await play({ root, proxy: this.#proxy, proxied, hosts: (k) => this.#hosts(k), step, until });
  }

  async #makeRoot(root: string): Promise<void> {
    await this.#driver.call('connect', 'root', this.#hosts(0), LONG);
    const { error, refused } = await this.#driver.call('create', 'root', root, '', OPEN, '0');
    if (error !== undefined || refused !== undefined) throw new Error(`no ${root}: ${error ?? refused}`);
    const { stat } = await this.#driver.call('exists', 'root', root, '');
    this.#base = BigInt(stat?.[0] ?? 0);
    await this.#driver.call('close', 'root');
  }

  #hosts(k?: number): string {
    const { ports } = this.#ensemble;
    return (k === undefined ? ports : [ports[k % ports.length]]).map((port) => `127.0.0.1:${port}`).join(',');
  }

  #write(chapter: string, root: string, [verb, ...args]: readonly string[], answer: Answer): void {
    const { session } = answer;
    // A session that another handle has gone on with keeps its first name.
    if (session !== undefined && !this.#sessions.has(session)) this.#sessions.set(session, args[0]);
    const shown = args
      .map((arg) =>
        decodeURIComponent(arg)
          .replaceAll(root, '$')
          .replace(/127\.0\.0\.1:\d+/g, 'host'),
      )
      .map(short);
    const told = args.at(-1) === ANY_ORDER ? { ...answer, events: answer.events?.toSorted() } : answer;
    const text = JSON.stringify(this.#comparable(told)).replaceAll(root, '$');
    this.#steps.push({ chapter, command: [verb, ...shown].join(' '), answer: text });
  }

  #comparable(answer: Answer): unknown {
    const { session, stat, children, paths, ids, results, events } = answer;
    return {
      ...answer,
      ...(session === undefined ? {} : { session: this.#sessions.get(session) }),
      ...(stat ? { stat: this.#stat(stat) } : {}),
      ...(children ? { children: [...children].sort() } : {}),
      ...(paths ? { paths: [...paths].sort() } : {}),
      ...(ids ? { ids: [...ids].sort() } : {}),
      ...(events ? { events: sameEventsSorted(events) } : {}),
      ...(results ? { results: results.map((result) => this.#comparable(result)) } : {}),
    };
  }

  /** Without times (but for being times of this run), zxids told from the chapter's root, the owner by the name of its session. */
  #stat([czxid, mzxid, ctime, mtime, version, cversion, aversion, owner, dataLength, numChildren, pzxid]: RawStat): unknown {
    return {
      czxid: this.#zxid(czxid),
      mzxid: this.#zxid(mzxid),
      ...(this.#isTime(ctime) && this.#isTime(mtime) ? {} : { ctime, mtime }),
      ...(version === 0 && ctime !== mtime ? { mtime: 'not the ctime' } : {}),
      version,
      cversion,
      aversion,
      owner: owner === '0' ? 0 : (this.#sessions.get(owner) ?? `unknown ${owner}`),
      dataLength,
      numChildren,
      pzxid: this.#zxid(pzxid),
    };
  }

  #zxid(zxid: string): number | string {
    const distance = BigInt(zxid) - this.#base;
    if (zxid === '0') return 'none';
    return distance < 0n ? 'before' : Number(distance);
  }

  #isTime(time: string): boolean {
    // Znodes of the first start have the time 0.
    return time === '0' || (Number(time) >= Date.now() - HOUR_MS && Number(time) <= Date.now() + TIME_SLACK_MS);
  }
}

/**
 * Which of several watchers hears first of one event is the library's affair, and so is in which order it tells of watches that it has removed. An entry is
 * `label type path`; in a row of entries with equal type and path the labels are sorted.
 */
function sameEventsSorted(events: readonly string[]): string[] {
  const eventOf = (entry: string): string => (entry.includes('WatchRemoved ') ? 'removed' : (/\w+ \S+$/.exec(entry)?.[0] ?? entry));
  const rows: string[][] = [];
  for (const entry of events) {
    const row = rows.at(-1);
    if (row !== undefined && eventOf(row[0]) === eventOf(entry)) row.push(entry);
    else rows.push([entry]);
  }
  return rows.flatMap((row) => row.sort());
}

const short = (text: string): string => (text.length > 80 ? `${text.slice(0, 77)}...` : text);
