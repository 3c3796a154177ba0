// The npm package node-zookeeper-client as a driver of the matrix (README.md).
import { createInterface } from 'node:readline';
import zookeeper from 'node-zookeeper-client';

const LIMIT_MS = 20_000;
const LONG_DATA = 256;

const STATES = { SYNC_CONNECTED: 'SyncConnected', DISCONNECTED: 'Disconnected', EXPIRED: 'Expired', AUTH_FAILED: 'AuthFailed' };
const EVENTS = { 1: 'NodeCreated', 2: 'NodeDeleted', 3: 'NodeDataChanged', 4: 'NodeChildrenChanged' };

/** One session: its client, the states it has gone through, the events of its watches between the replies. */
class Session {
  states = [];
  log = [];
  wake = () => {};

  constructor(hosts, timeout, resumed) {
    this.client = zookeeper.createClient(hosts, { sessionTimeout: Number(timeout), spinDelay: 50, ...resumed });
    this.client.on('state', (state) => {
      const name = Object.keys(STATES).find((key) => zookeeper.State[key] === state);
      if (name !== undefined) this.states.push(STATES[name]);
      this.wake();
    });
    this.client.connect();
  }

  /** The next state that is one of `wanted`. */
  async until(...wanted) {
    const end = Date.now() + LIMIT_MS;
    for (;;) {
      while (this.states.length > 0) {
        const state = this.states.shift();
        if (wanted.includes(state)) return { state };
      }
      const rest = end - Date.now();
      if (rest <= 0) return { refused: `no ${wanted.join(' or ')}` };
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, rest);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  watcher(label) {
    if (label === undefined || label === '') return undefined;
    return ({ type, path }) => this.log.push(`${label} ${EVENTS[type]} ${path}`);
  }

  /** `start` makes a call with the callback it is given; `show` turns its results into an answer. */
  call(verb, start, show) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve({ refused: 'no answer' }), LIMIT_MS);
      const done = (error, ...results) => {
        clearTimeout(timer);
        if (verb !== '') this.log.push(`= ${verb}`);
        const shown = error ? { error: error.getCode() } : show(...results);
        resolve(error && verb === 'multi' && results[0] ? { ...shown, ...show(...results) } : shown);
      };
      try {
        start(this.client, done);
      } catch (error) {
        clearTimeout(timer);
        resolve({ refused: error.name });
      }
    });
  }
}

function dataOf(arg) {
  if (arg === '-') return null;
  const [hex, count] = arg.split('*');
  return count === undefined ? Buffer.from(hex, 'hex') : Buffer.alloc(Number(count), Number.parseInt(hex, 16));
}

function showData(data) {
  if (data === undefined || data === null) return null;
  const hex = data.subarray(0, LONG_DATA).toString('hex');
  return data.length <= LONG_DATA ? hex : `${data.length}:${hex}`;
}

const long = (buffer) => buffer.readBigInt64BE().toString();

const showStat = (s) =>
  s && [
    ...[s.czxid, s.mzxid, s.ctime, s.mtime].map(long),
    s.version,
    s.cversion,
    s.aversion,
    long(s.ephemeralOwner),
    s.dataLength,
    s.numChildren,
    long(s.pzxid),
  ];

function aclOf(arg) {
  if (arg === '') return [];
  return arg.split(',').map((entry) => {
    const [, perms, scheme, id] = /^(\d+):([^:]*):(.*)$/.exec(entry);
    return new zookeeper.ACL(Number(perms), new zookeeper.Id(scheme, id));
  });
}

const showAcl = (acl) => acl.map(({ permission, id }) => `${permission}:${id.scheme}:${id.id}`);

const sessions = new Map();

async function open(name, hosts, timeout, resumed) {
  const session = new Session(hosts, timeout, resumed);
  sessions.set(name, session);
  const answer = await session.until('SyncConnected', 'Expired', 'AuthFailed');
  if (answer.state !== 'SyncConnected') return answer;
  session.id = session.client.getSessionId();
  session.password = session.client.getSessionPassword();
  return { session: long(session.id), timeout: session.client.getSessionTimeout() };
}

async function close(session) {
  const isOpen = session.client.getState() === zookeeper.State.SYNC_CONNECTED;
  session.client.close();
  if (isOpen) await session.until('Disconnected');
  return {};
}

function multi(session, parts) {
  const operations = parts.map((part) => part.split('|').map(decodeURIComponent));
  const show = (results) => ({
    results: results.map((result, i) => {
      if (result.type === -1) return { error: result.err };
      if (operations[i][0] === 'create') return { path: result.path };
      return operations[i][0] === 'setData' ? { stat: showStat(result.stat) } : {};
    }),
  });
  const start = (client, done) => {
    const transaction = client.transaction();
    for (const [verb, path, ...f] of operations) {
      if (verb === 'create') transaction.create(path, dataOf(f[0]), aclOf(f[1]), Number(f[2]));
      else if (verb === 'delete') transaction.remove(path, Number(f[0]));
      else if (verb === 'setData') transaction.setData(path, dataOf(f[0]), Number(f[1]));
      else transaction.check(path, Number(f[0]));
    }
    transaction.commit(done);
  };
  return session.call('multi', start, show);
}

const withStat = (stat) => ({ stat: showStat(stat) });
const nothing = () => ({});

function create(session, path, data, acl, mode, ttl) {
  // The library has one operation to create, which makes neither containers nor TTL znodes.
  if (Number(mode) > 3 || (ttl !== undefined && ttl !== '')) return { unsupported: `mode ${mode}` };
  const start = (client, done) => client.create(path, dataOf(data), aclOf(acl), Number(mode), done);
  return session.call('create', start, (made) => ({ path: made }));
}

/** All but opening a session. Functions of the client that take an optional watcher take undefined for none. */
const verbs = {
  create,
  // The library has no create with a Stat.
  create2: create,
  delete: (s, path, version) => s.call('delete', (c, done) => c.remove(path, Number(version), done), nothing),
  exists: (s, path, label) => s.call('exists', (c, done) => c.exists(path, s.watcher(label), done), withStat),
  getData: (s, path, label) =>
    s.call(
      'getData',
      (c, done) => c.getData(path, s.watcher(label), done),
      (data, stat) => ({ data: showData(data), stat: showStat(stat) }),
    ),
  getChildren: (s, path, label) =>
    s.call(
      'getChildren',
      (c, done) => c.getChildren(path, s.watcher(label), done),
      (children) => ({ children }),
    ),
  getChildren2: (s, path, label) =>
    s.call(
      'getChildren2',
      (c, done) => c.getChildren(path, s.watcher(label), done),
      (children, stat) => ({ children, stat: showStat(stat) }),
    ),
  setData: (s, path, data, version) => s.call('setData', (c, done) => c.setData(path, dataOf(data), Number(version), done), withStat),
  getAcl: (s, path) =>
    s.call(
      'getAcl',
      (c, done) => c.getACL(path, done),
      (acl, stat) => ({ acl: showAcl(acl), stat: showStat(stat) }),
    ),
  setAcl: (s, path, acl, version) => s.call('setAcl', (c, done) => c.setACL(path, aclOf(acl), Number(version), done), withStat),
  multi: (s, ...parts) => multi(s, parts),
  addAuth: (s, scheme, credential) => {
    s.client.addAuthInfo(scheme, Buffer.from(credential));
    return {};
  },
  await: async (s, state) => {
    const answer = await s.until(state);
    // Only then it is sure which error the calls that come now will have.
    if (answer.state === 'Expired') await s.until('Disconnected');
    return answer;
  },
  close,
  events: async (s) => {
    await s.call('', (c, done) => c.exists('/', undefined, done), nothing);
    return { events: s.log.splice(0) };
  },
};

function run(verb, name, ...args) {
  if (verb === 'connect') return open(name, args[0], args[1], {});
  if (verb === 'reattach') {
    const { id, password } = sessions.get(args[2]);
    const sessionPassword = Buffer.from(password);
    if (args[3] === 'wrong') sessionPassword[0] ^= 1;
    return open(name, args[0], args[1], { sessionId: id, sessionPassword });
  }
  if (verbs[verb] === undefined) return { unsupported: verb };
  return verbs[verb](sessions.get(name), ...args);
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await run(...line.split('\t').map(decodeURIComponent))));
}
