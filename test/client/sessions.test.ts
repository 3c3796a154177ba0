import { connect } from '../../src/index.ts';
import { PortRig } from '../port/rig.ts';
import { type SuiteEnsemble, sessionSuite } from './session-suite.ts';

const rig = () => PortRig.start({ voters: 1, tickTime: 500 });

sessionSuite('sessions in process', async (): Promise<SuiteEnsemble> => {
  const servers = await rig();
  return { open: (options) => servers.node(1).openSession(options), end: () => servers.end() };
});

sessionSuite('sessions over the wire', async () => {
  const servers = await rig();
  return { open: (options) => connect(`127.0.0.1:${servers.port(1)}`, options), end: () => servers.end() };
});

sessionSuite('sessions over the wire, below a znode', async () => {
  const servers = await rig();
  const session = await servers.node(1).openSession();
  await session.create('/app');
  await session.create('/app/one');
  return { open: (options) => connect(`127.0.0.1:${servers.port(1)}/app/one`, options), end: () => servers.end() };
});
