// The npm package zookeeper (the C client in Node) as a driver of the matrix (README.md). The argument is the folder where it is installed.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const ZooKeeper = createRequire(join(process.argv[2], 'index.js'))('zookeeper');

const LIMIT_MS = 20_000;
const LONG_DATA = 256;
const OPEN = '31:world:anyone';

const EVENTS = { 1: 'NodeCreated', 2: 'NodeDeleted', 3: 'NodeDataChanged', 4: 'NodeChildrenChanged' };
/** Why a client was closed that nobody closed: the C client's states. */
const CLOSED = { '-112': 'Expired', '-113': 'AuthFailed' };

/** One session: its client, the states it has gone through, the events of its watches between the replies. */
class Session {
  states = [];
  log = [];
  wake = () => {};

  constructor(hosts, timeout, resumed) {
    this.client = new ZooKeeper({ connect: hosts, timeout: Number(timeout), debug_level: ZooKeeper.ZOO_LOG_LEVEL_ERROR, ...resumed });
    this.client.on('connect', () => this.tell('SyncConnected'));
    this.client.on('connecting', () => this.tell('Disconnected'));
    this.client.on('close', (_, code) => this.tell(CLOSED[code] ?? 'Closed'));
    this.client.init({});
  }

  tell(state) {
    this.states.push(state);
    this.wake();
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
    return (type, _, path) => {
      if (type in EVENTS) this.log.push(`${label} ${EVENTS[type]} ${path}`);
    };
  }

  /** `start` makes a call with the callback it is given, and returns what the library says at once; `show` turns the results into an answer. */
  call(verb, start, show) {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve({ refused: 'no answer' }), LIMIT_MS);
      const answer = (what) => {
        clearTimeout(timer);
        resolve(what);
      };
      const accepted = start(this.client, (rc, _, ...results) => {
        if (verb !== '') this.log.push(`= ${verb}`);
        answer(rc === 0 ? show(...results) : { error: rc });
      });
      if (accepted !== 0) answer({ refused: String(accepted) });
    });
  }
}

function dataOf(arg) {
  if (arg === '-') return null;
  const [hex, count] = arg.split('*');
  return count === undefined ? Buffer.from(hex, 'hex') : Buffer.alloc(Number(count), Number.parseInt(hex, 16));
}

/** No znode without data; and it loses its connection over a reply of many packets. */
const canHold = (arg) => arg !== '-' && Number(arg.split('*')[1] ?? 0) <= 1000;

function showData(data) {
  if (data === undefined || data === null) return null;
  const hex = data.subarray(0, LONG_DATA).toString('hex');
  return data.length <= LONG_DATA ? hex : `${data.length}:${hex}`;
}

const signed = (hex) => BigInt.asIntN(64, BigInt(`0x${hex}`)).toString();

const showStat = (s) => [
  ...[s.czxid, s.mzxid, s.ctime.getTime(), s.mtime.getTime()].map(String),
  s.version,
  s.cversion,
  s.aversion,
  signed(s.ephemeralOwner),
  s.dataLength,
  s.numChildren,
  String(s.pzxid),
];

const aclOf = (arg) =>
  arg.split(',').map((entry) => {
    const [, perms, scheme, auth] = /^(\d+):([^:]*):(.*)$/.exec(entry);
    return { perms: Number(perms), scheme, auth };
  });

const sessions = new Map();

async function open(name, hosts, timeout, resumed) {
  const session = new Session(hosts, timeout, resumed);
  sessions.set(name, session);
  const answer = await session.until('SyncConnected', 'Expired', 'AuthFailed');
  if (answer.state !== 'SyncConnected') return answer;
  session.id = session.client.client_id;
  session.password = session.client.client_password;
  return { session: signed(session.id), timeout: session.client.timeout };
}

const nothing = () => ({});
const withStat = (stat) => ({ stat: showStat(stat) });

function create(session, path, data, acl, mode, ttl) {
  // The library makes no other ACLs.
  if (acl !== OPEN || !canHold(data)) return { unsupported: 'null or long data or other ACLs' };
  const show = (made) => ({ path: made });
  if (ttl === undefined || ttl === '') return session.call('create', (c, done) => c.a_create(path, dataOf(data), Number(mode), done), show);
  return session.call('create', (c, done) => c.a_createTtl(path, dataOf(data), Number(mode), Number(ttl), done), show);
}

/** A read with its watching twin. */
function read(session, verb, path, label, plain, watching, show) {
  if (label === '') return session.call(verb, (c, done) => c[plain](path, false, done), show);
  return session.call(verb, (c, done) => c[watching](path, session.watcher(label), done), show);
}

/** All but opening a session, and getAcl: an error in its answer ends the process. */
const verbs = {
  create,
  // The library has no create with a Stat.
  create2: create,
  delete: (s, path, version) => s.call('delete', (c, done) => c.a_delete_(path, Number(version), done), nothing),
  exists: (s, path, label) => read(s, 'exists', path, label, 'a_exists', 'aw_exists', withStat),
  getData: (s, path, label) =>
    read(s, 'getData', path, label, 'a_get', 'aw_get', (stat, data) => ({ data: showData(data), stat: showStat(stat) })),
  getChildren: (s, path, label) => read(s, 'getChildren', path, label, 'a_get_children', 'aw_get_children', (children) => ({ children })),
  getChildren2: (s, path, label) =>
    read(s, 'getChildren2', path, label, 'a_get_children2', 'aw_get_children2', (children, stat) => ({ children, stat: showStat(stat) })),
  setData: (s, path, data, version) =>
    !canHold(data)
      ? { unsupported: 'null or long data' }
      : s.call('setData', (c, done) => c.a_set(path, dataOf(data), Number(version), done), withStat),
  setAcl: (s, path, acl, version) => s.call('setAcl', (c, done) => c.a_set_acl(path, Number(version), aclOf(acl), done), nothing),
  sync: (s, path) => s.call('sync', (c, done) => c.a_sync(path, done), nothing),
  addAuth: (s, scheme, credential) => s.call('addAuth', (c, done) => c.add_auth(scheme, credential, done), nothing),
  await: (s, state) => s.until(state),
  close: async (s) => {
    s.client.close();
    return {};
  },
  events: async (s) => {
    await s.call('', (c, done) => c.a_sync('/', done), nothing);
    return { events: s.log.splice(0) };
  },
};

function run(verb, name, ...args) {
  if (verb === 'connect') return open(name, args[0], args[1], {});
  if (verb === 'reattach') {
    const { id, password } = sessions.get(args[2]);
    const tried = Buffer.from(password, 'hex');
    if (args[3] === 'wrong') tried[0] ^= 1;
    return open(name, args[0], args[1], { client_id: id, client_password: tried.toString('hex') });
  }
  if (verbs[verb] === undefined) return { unsupported: verb };
  return verbs[verb](sessions.get(name), ...args);
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await run(...line.split('\t').map(decodeURIComponent))));
}
