import { expect, test } from 'vitest';
import type { Session } from '../../src/node/api.ts';
import { createSimulation } from '../../src/testing/simulation.ts';

/*
 * A session that goes on at a server whose leader was deposed without knowing it yet. What that leader says of the session, and what it shows, may be old.
 */

/** An ensemble whose leader stood still while the others elected another one; `session` is open at one of them. What `resume` does at the old leader comes first when it goes on. */
async function deposed(
  opened: 'before' | 'after',
  resume: (session: Session, resume: () => Promise<Session>) => Promise<void>,
): Promise<void> {
  using sim = createSimulation({ seed: 1, ensemble: { tickTime: 500, syncLimit: 4 } });
  await sim.start();
  const old = sim.leader as number;
  const elsewhere = sim.servers.find((id) => id !== old) as number;
  let session = await sim.openSession(elsewhere, { timeout: 10_000 });
  await session.create('/a', 'old');
  await sim.node(old).sync();
  let done = false;
  sim.spawn(old, async ({ node, sleep }) => {
    // It is due in the middle of the pause, so it runs right after it.
    await sleep(5000);
    await resume(session, () => node.openSession({ resume: { id: session.id, password: session.password } }));
    done = true;
  });
  sim.pause(old, 10_000);
  await sim.until(() => sim.leader !== undefined && sim.leader !== old && sim.node(elsewhere).serving);
  if (opened === 'after') session = await sim.openSession(elsewhere, { timeout: 10_000 });
  else await sim.until(() => session.state === 'connected');
  await session.setData('/a', 'new');
  await sim.until(() => done);
}

test('a session does not see time go back', async () => {
  let seen: string | undefined;
  await deposed('before', async (_, resume) => {
    const resumed = await resume().catch(() => null);
    if (resumed !== null) seen = (await resumed.getData('/a')).text();
  });
  expect(seen).not.toBe('old');
});

test('a session that lives is not said to have expired', async () => {
  let code: string | undefined;
  await deposed('after', async (_, resume) => {
    const resumed = await resume().catch((error: { code: string }) => error.code);
    if (typeof resumed === 'string') code = resumed;
  });
  expect(code).not.toBe('SESSION_EXPIRED');
});
