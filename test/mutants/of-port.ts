import type { Mutant } from './mutant.ts';

const port = 'src/node/port/client-port.ts';
const connection = 'src/node/port/connection.ts';
const keeper = 'src/client/keeper.ts';
const session = 'src/client/remote-session.ts';
const watches = 'src/client/remote-watches.ts';

/** Faults in the client port. */
const inPort: readonly Mutant[] = [
  {
    name: 'port: the reply before the event',
    why: 'who is shown a change has been told of it before (PROTOCOL 3.1)',
    file: port,
    find: '    connection.event(type, path);\n',
    replace: '    this.#options.clock.defer(() => connection.event(type, path));\n',
    seeds: 10,
  },
  {
    name: 'port: a read overtakes the writes before it',
    why: 'replies come in the order of the requests (PROTOCOL 3.1)',
    file: connection,
    find: '    if (this.#queue.length === 0) {\n',
    replace: '    if (this.#queue.length >= 0) {\n',
    seeds: 10,
  },
  {
    name: 'port: reads behind a sync wait for the next write',
    why: 'a read is answered at its place, before the write behind it is applied',
    file: connection,
    find: '    for (; index > 0 && queue.length > 0; index--) this.#answerFirst();\n',
    replace: '',
    seeds: 10,
  },
  {
    name: 'port: what a client has seen is ignored',
    why: 'a server that is behind turns the client away (PROTOCOL 4)',
    file: port,
    find: "    if (compareZxid(request.lastZxidSeen, control.tree.lastZxid) > 0) return connection.close('it has seen more than this server has');\n",
    replace: '',
    seeds: 150,
  },
  {
    name: 'port: a session goes on without the leader’s word',
    why: 'only the leader knows whether a session lives, and through which server it writes (PROTOCOL 11, REVALIDATE)',
    file: port,
    find: "    if (!control.revalidate(id, timeout)) return connection.close('the server does not serve');\n",
    replace: `    if (control.tree.sessions.has(id)) {
      this.#sessions.set(id, connection);
      return connection.open(id, timeout, sessionPassword(id));
    }
`,
    seeds: 10,
  },
  {
    name: 'port: the word of a deposed leader that a session is over',
    why: 'such a leader does not know; the sync behind the question tells whether it is one',
    file: port,
    find: '    // A deposed leader does not know: the sync is answered only if this one is none, and an expired session is a hard word.\n',
    replace: '    return connection.refuse();\n',
    seeds: 40,
  },
  {
    name: 'port: without a quorum a session is said not to exist',
    why: 'a server without a quorum does not know of sessions that have been opened since',
    file: connection,
    find: '    const { readOnly } = this.#host;\n',
    replace: '    const readOnly = false;\n',
    seeds: 40,
    from: 260,
  },
  {
    name: 'port: what watches have missed is not told',
    why: 'setWatches tells what has changed since (PROTOCOL 10)',
    file: port,
    find: 'this.watches.catchUp(this.#host.control.tree, since, lists',
    replace: 'this.watches.catchUp(this.#host.control.tree, this.lastZxid, lists',
    seeds: 170,
  },
  {
    name: 'port: events that the client may not see',
    why: 'who may not read a znode is not told of its changes (fault 4799)',
    file: port,
    find: '      if (this.#host.access.permitsBy(acl, Perms.READ, connection.auth)) this.#deliver(connection, type, path);\n',
    replace: '      if (acl !== null) this.#deliver(connection, type, path);\n',
    seeds: 10,
  },
  {
    name: 'port: the leader is not told that clients live',
    why: 'touches of sessions come with the answer to PING (PROTOCOL 11)',
    file: port,
    find: '      touches.push({ sessionId: connection.sessionId, timeout: connection.timeout });\n',
    replace: '',
    seeds: 10,
  },
  {
    name: 'port: a connection outlives its session',
    why: 'a client whose session is over is told so, by the end of its connection',
    file: connection,
    find: "      if (ends) this.close('the session has expired or was closed');\n",
    replace: '',
    seeds: 65,
  },
  {
    name: 'port: a write of an earlier connection answers another',
    why: 'a request that was given up may still be committed; its number tells',
    file: connection,
    find: 'if (first?.kind !== PendingKind.write || first.xid !== cxid) return null;',
    replace: 'if (first?.kind !== PendingKind.write) return null;',
    seeds: 45,
    from: 75,
  },
  {
    name: 'port: clients are kept when the ensemble is lost',
    why: 'without a leader nothing that is under way is answered',
    file: port,
    find: "    this.#closeAll('the server has lost its ensemble');\n",
    replace: '',
    seeds: 10,
  },
  {
    name: 'port: a throttled client is forgotten',
    why: 'who waits for its turn gets it',
    file: port,
    find: '      connection.resume();\n',
    replace: '',
    seeds: 40,
  },
];

/** Faults in the client. */
const inClient: readonly Mutant[] = [
  {
    name: 'client: says nothing of what it has seen',
    why: 'a session never sees time go back, on another server neither (PROTOCOL 4)',
    file: keeper,
    find: '      lastZxidSeen: this.lastZxid,\n',
    replace: '      lastZxidSeen: ZXID_NONE,\n',
    seeds: 150,
  },
  {
    name: 'client: a lost write is said not to be done',
    why: 'nobody knows what has become of a request that was sent',
    file: 'src/client/remote-calls.ts',
    find: 'if (call instanceof RemoteCall && connection.hasWritten(call.index)) {',
    replace: 'if (call.settled) {',
    seeds: 35,
  },
  {
    name: 'client: a write is tried again after its connection was lost',
    why: 'a call is one request, or none',
    file: session,
    find: '    this.#calls.failAll((call) => lostCall(call, connection, reason));\n',
    replace: `    this.#calls.failAll((call) => {
      if (call.kind === CallKind.setData)
        this.on('state', (state) => void (state === 'connected' && this.setData(call.path, 'again').catch(() => {})));
      return lostCall(call, connection, reason);
    });
`,
    seeds: 10,
  },
  {
    name: 'client: a session of somebody else begins with number 1',
    why: 'answers to an earlier handle’s requests must not be taken for its own',
    file: session,
    find: 'options.resume === null ? 0 : options.random.below(0x40000000)',
    replace: '0',
    seeds: 10,
  },
  {
    name: 'client: watches are not asked for again',
    why: 'watches vanish with the connection (PROTOCOL 10)',
    file: session,
    find: '    this.#remoteWatches.restore();\n',
    replace: '',
    seeds: 10,
  },
  {
    name: 'client: who stays is not told that something was missed',
    why: 'servers tell a persistent watch nothing of what happened without a connection',
    file: watches,
    find: "    for (const { path, sink } of missed) this.#deliver(sink, { type: 'overflow', path, zxid });\n",
    replace: '',
    seeds: 10,
  },
  {
    name: 'client: who waits for a znode is asked for as if it were there',
    why: 'setWatches has a list of its own for what was not there (PROTOCOL 10)',
    file: watches,
    find: '    if (absent === false) this.#absent.delete(path);\n',
    replace: '    if (!absent) this.#absent.delete(path);\n',
    seeds: 40,
  },
  {
    name: 'client: what one-shot watches missed is told to those that stay',
    why: 'what a persistent watch is told has happened, and all of it is told',
    file: watches,
    find: `      if (this.#isRestoring) this.#missed.add(watch);
      else watch.fired(event, out);
`,
    replace: '      watch.fired(event, out);\n',
    seeds: 170,
  },
  {
    name: 'client: no pings',
    why: 'a session that has nothing to say lives (PROTOCOL 11)',
    file: 'src/client/liveness.ts',
    find: '    if (isIdle) connection.send(Xid.ping, { op: Op.ping });\n',
    replace: '',
    seeds: 10,
  },
  {
    name: 'client: never gives its session up',
    why: 'a client that reaches nobody learns by its own clock that its session is over',
    file: keeper,
    find: '    if (this.#isReal) this.#armExpiry(connection.lastHeard);\n',
    replace: '',
    seeds: 35,
  },
  {
    name: 'client: gives its session up too early',
    why: 'a session is not given up that a working ensemble still keeps',
    file: keeper,
    find: '    this.#expiry.set(Math.max(left, this.timeout / 3), () => {\n',
    replace: '    this.#expiry.set(this.timeout / 5, () => {\n',
    seeds: 10,
  },
  {
    name: 'client: takes the zxid of no answer',
    why: 'servers are told how far the client has seen the history',
    file: keeper,
    find: '    if (!zxidEquals(zxid, NO_ZXID)) this.lastZxid = maxZxid(this.lastZxid, zxid);\n',
    replace: '    if (zxidEquals(zxid, NO_ZXID)) this.lastZxid = maxZxid(this.lastZxid, zxid);\n',
    seeds: 30,
  },
];

export const portMutants: readonly Mutant[] = [...inPort, ...inClient];
