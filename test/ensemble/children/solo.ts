import { createEnsembleNode } from '../../../src/index.ts';

/* A default node, alone in its ensemble: started, used and stopped. Then nothing may keep this process alive. */
const [dataDir, quorumPort, electionPort] = process.argv.slice(2);
const node = createEnsembleNode({
  id: 1,
  dataDir,
  servers: [{ id: 1, host: '127.0.0.1', quorumPort: Number(quorumPort), electionPort: Number(electionPort) }],
});
await node.start();
const session = await node.openSession();
const { path } = await session.create('/a');
await session.close();
await node.stop();
process.stdout.write(`${path} ${node.role}\n`);
