import type Long from 'long';
import { Op } from '../../model/codes.ts';
import type { Txn } from '../../model/records.ts';
import { formatZxid, zxidEquals } from '../../model/zxid.ts';
import type { ZnodeTree } from '../../tree/tree.ts';
import { Blind } from '../probe.ts';
import type { Deliveries } from './deliveries.ts';
import type { Ledger } from './ledger.ts';
import type { Proposal } from './proposal.ts';
import { type EphemeralSpan, isThere, SessionModel } from './session-model.ts';

/**
 * Sessions and what they own, against what the history itself says (PROTOCOL 5, 11):
 *
 * - TreeComplete: a tree that is shown from now on has exactly the sessions and the ephemeral znodes of its place in history, and each ephemeral's owner is one of these sessions (faults 3144, 4837).
 * - EphemeralsGone: after closeSession nothing of that session is left, and no ephemeral goes in another way than by a deletion or the end of its session (faults 2355, 3471).
 */
export class Sessions extends Blind {
  readonly #ledger: Ledger;
  readonly #deliveries: Deliveries;
  readonly #model = new SessionModel();
  /** How much of what was delivered is in the model. */
  #seen = 0;

  constructor(ledger: Ledger, deliveries: Deliveries) {
    super();
    this.#ledger = ledger;
    this.#deliveries = deliveries;
  }

  override applied(server: number, { header: { clientId, type } }: Txn, tree: ZnodeTree): void {
    const at = this.#catchUp(server);
    if (at === undefined) return;
    if (type === Op.createSession && !tree.sessions.has(clientId))
      this.#incomplete(server, at, `session ${formatZxid(clientId)} is not there`);
    if (type === Op.closeSession) this.#closed(server, at, clientId, tree);
    // To look at all of them each time would cost too much; what is missing stays missing.
    const ephemeral = this.#model.nextEphemeral();
    if (ephemeral !== undefined && isThere(ephemeral, at.depth) && !isOwned(tree, ephemeral))
      this.#ledger.violated(
        'EphemeralsGone',
        `server ${server} has lost ${ephemeral.path} by ${at}: nobody has deleted it, and its session is open`,
      );
  }

  #closed(server: number, at: Proposal, session: Long, tree: ZnodeTree): void {
    const name = formatZxid(session);
    if (tree.sessions.has(session)) this.#incomplete(server, at, `session ${name} is there after its end`);
    const left = this.#model.removedAt(at.depth).find(({ path }) => tree.has(path))?.path ?? tree.getEphemerals(session)[0];
    if (left !== undefined)
      this.#ledger.violated('EphemeralsGone', `server ${server} still has ${left} after ${at}, the end of its session ${name}`);
  }

  override shown(server: number, tree: ZnodeTree): void {
    const at = this.#catchUp(server);
    const [orphaned] = tree.orphanedSessions();
    if (orphaned !== undefined)
      this.#ledger.violated('TreeComplete', `server ${server} shows ephemerals of session ${formatZxid(orphaned)}, which is not open`);
    if (at === undefined) return;
    const { sessions, ephemerals } = this.#model;
    let open = 0;
    for (const { id, timeout } of sessions.filter((session) => isThere(session, at.depth))) {
      open++;
      if (tree.sessions.get(id)?.timeout !== timeout)
        this.#incomplete(server, at, `session ${formatZxid(id)} of ${timeout} ms is not there`);
    }
    if (tree.sessions.size !== open) this.#incomplete(server, at, `${tree.sessions.size} sessions are there instead of ${open}`);
    let alive = 0;
    for (const ephemeral of ephemerals.filter((one) => isThere(one, at.depth))) {
      alive++;
      if (!isOwned(tree, ephemeral)) this.#incomplete(server, at, `${ephemeral.path} is not there`);
    }
    let owned = 0;
    for (const slots of tree.owners.sets()) owned += slots.size;
    if (owned !== alive) this.#incomplete(server, at, `${owned} ephemerals are there instead of ${alive}`);
  }

  /** Where the server's tree stands, if the model can say anything about it. */
  #catchUp(server: number): Proposal | undefined {
    const { committed } = this.#deliveries;
    while (this.#seen + 1 < committed.length) this.#model.add(committed[++this.#seen]);
    const at = this.#deliveries.positionOf(server);
    return this.#model.complete && at !== undefined && committed[at.depth] === at ? at : undefined;
  }

  #incomplete(server: number, at: Proposal, what: string): void {
    this.#ledger.violated('TreeComplete', `server ${server} shows a tree of ${at}: ${what}`);
  }
}

/** Whether the znode is there and is that session's. */
function isOwned(tree: ZnodeTree, { path, owner }: EphemeralSpan): boolean {
  const stat = tree.exists(path);
  return stat !== undefined && zxidEquals(stat.ephemeralOwner, owner);
}
