import { compareZxid, type Session, type Stat, ZabError } from 'zab-ensemble';

/*
 * The code under test: a balance at some other service is read, changed and written back, under a lock, so that no two processes do that at the same time.
 */

/** What the lock's znode was created by: the newer the lock, the greater the token. */
export type Token = Stat['czxid'];

/** The other service. It refuses a token that is older than one it has seen; without a token it does what it is told. */
export interface Account {
  read(token?: Token): Promise<number>;
  write(balance: number, token?: Token): Promise<void>;
}

/**
 * One deposit. Rejects with {@link Refused} or a ZabError when it was not made.
 *
 * @param fenced whether the service is told under which lock it is called. The naive way is to rely on the lock alone.
 */
export async function deposit(session: Session, account: Account, amount: number, fenced: boolean): Promise<void> {
  const lock = await acquire(session, '/lock');
  // The read carries the token too: from then on no older lock can write, so the balance stays what was read.
  const token = fenced ? lock.token : undefined;
  const balance = await account.read(token);
  // Nobody can say that this was not thought of.
  if (session.state !== 'connected') throw new ZabError('CONNECTION_LOSS', 'the lock may be lost');
  await account.write(balance + amount, token);
  await session.delete(lock.path);
}

/** Waits for the lock; it goes with the session, or when its znode is deleted. */
async function acquire(session: Session, folder: string): Promise<{ path: string; token: Token }> {
  const { path, stat } = await session.create(`${folder}/request-`, null, { mode: 'ephemeralSequential' });
  const own = path.slice(folder.length + 1);
  for (;;) {
    const { children } = await session.getChildren(folder);
    const order = children.sort();
    const place = order.indexOf(own);
    if (place < 0) throw new ZabError('SESSION_EXPIRED', 'the request is gone');
    if (place === 0) return { path, token: stat.czxid };
    await gone(session, `${folder}/${order[place - 1]}`);
  }
}

/** Resolves when `path` may be gone: when it has changed, or something has become of the session. */
async function gone(session: Session, path: string): Promise<void> {
  let look: () => void = () => {};
  const changed = new Promise<void>((resolve) => {
    look = resolve;
  });
  session.once('state', look);
  if ((await session.exists(path, { watch: look })) !== null) await changed;
  session.off('state', look);
}

/** The service's answer to a token that is too old. */
export class Refused extends Error {
  override readonly name = 'Refused';
}

/** A service that keeps the balance, and the rules. */
export class Ledger {
  balance = 0;
  /** What all deposits that were made come to. */
  deposited = 0;
  #newest: Token | undefined;

  read(token?: Token): number {
    this.#admit(token);
    return this.balance;
  }

  write(balance: number, amount: number, token?: Token): void {
    this.#admit(token);
    this.balance = balance;
    this.deposited += amount;
  }

  #admit(token: Token | undefined): void {
    if (token === undefined) return;
    if (this.#newest !== undefined && compareZxid(token, this.#newest) < 0) throw new Refused('the token is too old');
    this.#newest = token;
  }
}
