import { expect, test } from 'vitest';
import { finale } from '../../src/testing/finale.ts';
import { createSimulation } from '../../src/testing/simulation.ts';
import { Packet } from '../../src/zab/messages.ts';

/** Found by the exploration of examples/simulation: the protocol's time stood still for as long as the event loop had, if anything came in before the timer that told of it. */
test('a leader whose event loop has stood still finds out soon that it has been replaced', async () => {
  const sim = createSimulation({ seed: 77, ensemble: { tickTime: 200 } });
  await sim.start();
  let pinged = 0;
  sim.addProbe({
    sent: (from, _to, _link, message) => {
      if (message.type === Packet.PING) pinged = from;
    },
  });
  for (let round = 1; round <= 4; round++) {
    const old = sim.leader!;
    pinged = 0;
    // The answers to its pings are the first thing that it sees after the stall.
    await sim.until(() => pinged === old);
    sim.pause(old, 6000);
    await sim.advance(6000);
    // Reached: the others have gone on without it.
    expect(sim.leader).not.toBe(old);
    expect(sim.node(old).role).toBe('leading');
    await sim.until(() => sim.serves(old, sim.leader!), 2000);
  }
  await finale(sim);
});
