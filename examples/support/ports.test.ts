import { expect, test } from 'vitest';
import { freePorts, loopbackServers } from './ports.ts';

test('no port is given twice, though nobody has opened the first yet', async () => {
  const [some, servers, more] = await Promise.all([freePorts(300), loopbackServers(100), freePorts(300)]);
  const ports = [...some, ...servers.flatMap(({ quorumPort, electionPort }) => [quorumPort, electionPort]), ...more];
  expect(new Set(ports).size).toBe(800);
  // Connections that go out have theirs from 32768 on.
  for (const port of ports) expect(port >= 10_000 && port < 32_000, `port ${port}`).toBe(true);
});
