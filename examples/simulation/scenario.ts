import { type Session, ZabError } from 'zab-ensemble';
import type { Program, RunOptions, Simulation } from 'zab-ensemble/testing';
import { type Account, deposit, Ledger, Refused } from './deposits.ts';

/*
 * How the code is tested: every process of a simulated ensemble makes deposits all the time, while the seed's faults happen. The rule: no deposit is ever lost.
 */

const AMOUNT = 10;

/** The options of an exploration, or of the replay of one of its seeds. */
export function deposits(fenced: boolean): RunOptions {
  return {
    simulation: { ensemble: { tickTime: 200 } },
    faults: { kinds: ['pause', 'partition', 'crash'], density: 8, longest: 10_000 },
    setup: async (sim) => {
      const session = await sim.openSession(1);
      await session.create('/lock');
      await session.close();
    },
    scenario: async (sim, control) => {
      const ledger = new Ledger();
      sim.always('NoDepositIsLost', () => {
        if (ledger.balance !== ledger.deposited) throw new Error(`${ledger.deposited} deposited, the balance is ${ledger.balance}`);
        return true;
      });
      for (const id of sim.servers) sim.spawn(id, (program) => teller(program, ledger, fenced));
      await sim.advance(control.duration);
      control.calm();
      await goesOn(sim, ledger);
      return new Map([['deposits', ledger.deposited / AMOUNT]]);
    },
  };
}

/** When all is well again there must be deposits again: a lock that nobody gets any more would lose none either. */
async function goesOn(sim: Simulation, ledger: Ledger): Promise<void> {
  await sim.settled();
  const before = ledger.deposited;
  await sim.until(() => ledger.deposited >= before + 3 * AMOUNT);
}

/** What runs in each process. */
async function teller(program: Program, ledger: Ledger, fenced: boolean): Promise<void> {
  const { node, sleep, chance } = program;
  await node.start();
  for (;;) {
    try {
      const session = await node.openSession({ timeout: 1000 });
      try {
        for (;;) {
          await deposit(session, remote(program, ledger), AMOUNT, fenced);
          await sleep(chance.between(1, 100));
        }
      } catch (error) {
        program.note(`no deposit: ${(error as Error).message}`);
        await end(session, program);
        throw error;
      }
    } catch (error) {
      const isExpected = error instanceof Refused || (error instanceof ZabError && error.code !== 'NODE_STOPPED');
      if (!isExpected) throw error;
      await sleep(100);
    }
  }
}

/** The other service as a process sees it: each call takes its time on the way there and back. */
function remote(program: Program, ledger: Ledger): Account {
  const { sleep, chance } = program;
  return {
    read: async (token) => {
      await sleep(chance.between(5, 50));
      const balance = ledger.read(token);
      await sleep(chance.between(5, 50));
      return balance;
    },
    write: async (balance, token) => {
      await sleep(chance.between(5, 50));
      ledger.write(balance, AMOUNT, token);
      program.note(`writes ${balance}`);
      await sleep(chance.between(5, 50));
    },
  };
}

/** Ends a session for good: as long as it lives, its request for the lock does too. */
async function end(session: Session, program: Program): Promise<void> {
  while (session.state === 'connected' || session.state === 'suspended') {
    await session.close().catch(() => program.sleep(50));
  }
}
