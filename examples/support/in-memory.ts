import { createEnsembleNode, type EnsembleNode, MemoryNetwork, memoryStorage, type ServerSpec, systemClock } from 'zab-ensemble';

/** An ensemble whose replicas all live in this process, on a network that can be cut. */
export interface InMemoryEnsemble extends AsyncDisposable {
  readonly network: MemoryNetwork;
  readonly nodes: readonly EnsembleNode[];
  leader(): EnsembleNode;
  followers(): EnsembleNode[];
}

/** Starts `size` replicas; resolves when all of them serve. Ports are only names here: nothing is bound. */
export async function inMemoryEnsemble(size: number): Promise<InMemoryEnsemble> {
  const clock = systemClock();
  const network = new MemoryNetwork(clock);
  const servers: ServerSpec[] = Array.from({ length: size }, (_, i) => ({
    id: i + 1,
    host: 'memory',
    quorumPort: 2001 + i,
    electionPort: 3001 + i,
  }));
  const nodes = servers.map(({ id }) =>
    createEnsembleNode({ id, servers, clock, transport: network.transport(), storage: memoryStorage(), tickTime: 100 }),
  );
  await Promise.all(nodes.map((node) => node.start()));
  const followers = (): EnsembleNode[] => nodes.filter((node) => node.role === 'following');
  const leader = (): EnsembleNode => {
    const found = nodes.find((node) => node.role === 'leading');
    if (found === undefined) throw new Error('there is no leader now');
    return found;
  };
  return {
    network,
    nodes,
    leader,
    followers,
    [Symbol.asyncDispose]: async () => void (await Promise.all(nodes.map((node) => node.stop()))),
  };
}
