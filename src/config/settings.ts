import { parseZxidHex } from '../model/zxid.ts';
import type { EnsembleOptions } from '../node/api.ts';
import { parseWord } from '../node/port/four-letter.ts';
import { reasonWithoutEffect } from './no-effect.ts';
import { readRole } from './server-line.ts';
import { filled, MAX_INT, systemNumber, trueOrFalse, whole, yesOrNo } from './values.ts';

/** Options that a configuration file gives; they fit `createEnsembleNode`. */
export interface ZooCfgOptions extends Omit<EnsembleOptions, 'transport' | 'storage' | 'clock' | 'random' | 'sockets' | 'logger'> {
  readonly dataDir: string;
  readonly dataLogDir?: string;
  readonly listenHost?: string;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** What the lines of a file have said so far. */
export interface Draft {
  readonly options: Partial<Mutable<ZooCfgOptions>>;
  clientPortAddress?: string;
  peerType?: 'participant' | 'observer';
  dynamicConfigFile?: string;
  standaloneEnabled: boolean;
  /** Hours; 0: nothing is purged. */
  purgeInterval: number;
  /** False: a data directory that is not there is an error. */
  autocreate: boolean;
}

/** Takes the value of one key. Throws a RangeError with the rule that the value breaks. */
export type Setting = (value: string, draft: Draft, warn: (text: string) => void) => void;

type KeysOf<T> = { [K in keyof ZooCfgOptions]-?: ZooCfgOptions[K] extends T | undefined ? K : never }[keyof ZooCfgOptions];

const number =
  (option: KeysOf<number>, min: number, max = MAX_INT): Setting =>
  (value, { options }) => {
    options[option] = whole(value, min, max);
  };

const flag =
  (option: KeysOf<boolean>): Setting =>
  (value, { options }) => {
    options[option] = trueOrFalse(value);
  };

/** ZooKeeper writes -1 for "as many ticks as by default". */
const sessionTimeout =
  (option: 'minSessionTimeout' | 'maxSessionTimeout'): Setting =>
  (value, { options }) => {
    if (whole(value, -1) === -1) delete options[option];
    else options[option] = whole(value, 1);
  };

const folder =
  (option: 'dataDir' | 'dataLogDir'): Setting =>
  (value, { options }, warn) => {
    options[option] = filled(value);
    if (!/^(?:\.{0,2}\/|[A-Za-z]:[\\/])/.test(value)) warn('is relative to the working directory; begin it with ./ if that is meant');
  };

/** For what is always as `expected`: somebody who asks for it to be otherwise is told that it is not. */
const onlyIf =
  (expected: boolean, why: string): Setting =>
  (value, _, warn) => {
    if (trueOrFalse(value) !== expected) warn(`has no effect: ${why}`);
  };

/** The value would make the server something else than the file asks for, and weaker. */
const refusedIf =
  (refused: boolean, why: string): Setting =>
  (value) => {
    if (trueOrFalse(value) === refused) throw new RangeError(why);
  };

const refused =
  (why: string): Setting =>
  () => {
    throw new RangeError(why);
  };

const NO_TLS = 'TLS is not offered';
const NO_SASL = 'SASL is not offered';

const superDigest: Setting = (value, { options }) => {
  if (!/^[^:]+:[A-Za-z0-9+/]{27}=$/.test(value)) throw new RangeError('must be user:base64(sha1(user:password))');
  options.superDigest = value;
};

/** Only 3 in ZooKeeper since 3.6. Number 0 was its basic election, which this library has in a form of its own. */
const electionAlg: Setting = (value, { options }, warn) => {
  const algorithm = whole(value, 0, 3);
  if (algorithm !== 0 && algorithm !== 3) throw new RangeError('must be 3, the fast election; the elections over UDP are gone');
  options.election = algorithm === 3 ? 'fast' : 'basic';
  if (algorithm === 0) warn('is the basic election, which no ZooKeeper since 3.6 takes part in');
};

const WORD = /^(?:[a-z]{4}|\*)$/;
const isOffered = (word: string): boolean => word === '*' || parseWord(Uint8Array.from(word, (letter) => letter.charCodeAt(0))) !== null;

const fourLetterWords: Setting = (value, { options }, warn) => {
  const words = value
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
  const wrong = words.filter((word) => !WORD.test(word));
  if (wrong.length > 0) throw new RangeError(`must be words of four letters with commas between them, or *; ${wrong.join(', ')} is none`);
  const missing = words.filter((word) => !isOffered(word));
  if (missing.length > 0) warn(`names words that are not offered: ${missing.join(', ')}`);
  options.fourLetterWords = words.filter(isOffered);
};

const snapRetainCount: Setting = (value, { options }, warn) => {
  const count = whole(value, 0);
  options.snapRetainCount = Math.max(count, 3);
  if (count < 3) warn('is taken as 3, the least');
};

/** What ZooKeeper puts behind the name of a dynamic file: the version of the configuration. */
export const VERSION_SUFFIX = /\.([0-9a-f]{1,16})$/i;

const dynamicConfigFile: Setting = (value, draft) => {
  draft.dynamicConfigFile = filled(value);
  const version = VERSION_SUFFIX.exec(value);
  if (version !== null) draft.options.configVersion = parseZxidHex(version[1]);
};

/** Keys of the file alone; everything else is a system property of ZooKeeper's. */
const FILE_KEYS = new Map<string, Setting>([
  ['dataDir', folder('dataDir')],
  ['dataLogDir', folder('dataLogDir')],
  ['clientPort', (value, { options }) => void (options.clientPort = whole(value, 0, 65535) || undefined)],
  ['clientPortAddress', (value, draft) => void (draft.clientPortAddress = filled(value))],
  ['maxClientCnxns', number('maxClientCnxns', 0)],
  ['maxCnxns', number('maxCnxns', 0)],
  ['tickTime', number('tickTime', 1, 3_600_000)],
  ['initLimit', number('initLimit', 1)],
  ['syncLimit', number('syncLimit', 1)],
  ['minSessionTimeout', sessionTimeout('minSessionTimeout')],
  ['maxSessionTimeout', sessionTimeout('maxSessionTimeout')],
  ['electionAlg', electionAlg],
  ['peerType', (value, draft) => void (draft.peerType = readRole(value))],
  ['autopurge.snapRetainCount', snapRetainCount],
  ['autopurge.purgeInterval', (value, draft) => void (draft.purgeInterval = whole(value, 0))],
  ['standaloneEnabled', (value, draft) => void (draft.standaloneEnabled = trueOrFalse(value))],
  ['dynamicConfigFile', dynamicConfigFile],
  ['reconfigEnabled', onlyIf(false, 'while this server leads, reconfig is answered as by a server that has it disabled')],
  [
    'quorumListenOnAllIPs',
    (value, { options }) => {
      if (trueOrFalse(value)) options.listenHost = '0.0.0.0';
    },
  ],
  ['syncEnabled', onlyIf(true, 'an observer always writes its log and its snapshots')],
  ['localSessionsEnabled', onlyIf(false, 'every session is a global one')],
  ['localSessionsUpgradingEnabled', onlyIf(false, 'every session is a global one')],
  ['multiAddress.enabled', onlyIf(false, 'a server has one address')],
  [
    'secureClientPort',
    (value) => {
      if (whole(value, 0, 65535) !== 0) throw new RangeError(NO_TLS);
    },
  ],
  ['secureClientPortAddress', refused(NO_TLS)],
  ['sslQuorum', refusedIf(true, NO_TLS)],
  ['sslQuorumReloadCertFiles', refusedIf(true, NO_TLS)],
  ['portUnification', refusedIf(true, NO_TLS)],
  ['quorum.auth.enableSasl', refusedIf(true, NO_SASL)],
  ['quorum.auth.learnerRequireSasl', refusedIf(true, NO_SASL)],
  ['quorum.auth.serverRequireSasl', refusedIf(true, NO_SASL)],
  ['oraclePath', refused('an oracle that decides for a quorum is not offered')],
]);

/** System properties of ZooKeeper's: in its file they are keys without the `zookeeper.` in front, and here with it too. */
const PROPERTIES = new Map<string, Setting>([
  ['snapCount', number('snapCount', 2)],
  ['commitLogCount', number('commitLogCount', 1)],
  ['globalOutstandingLimit', number('globalOutstandingLimit', 1)],
  ['maxConcurrentSnapSyncs', number('snapshotConcurrency', 1)],
  ['leader.maxConcurrentSnapSyncs', number('snapshotConcurrency', 1)],
  ['znode.container.checkIntervalMs', number('containerCheckInterval', 1)],
  ['jute.maxbuffer', (value, { options }) => void (options.maxRequestBytes = systemNumber(value, 1024))],
  ['4lw.commands.whitelist', fourLetterWords],
  ['readonlymode.enabled', flag('readOnlyMode')],
  ['skipACL', (value, { options }) => void (options.skipAcl = yesOrNo(value))],
  ['superDigest', superDigest],
  ['DigestAuthenticationProvider.superDigest', superDigest],
  ['enforceQuota', flag('enforceQuota')],
  ['digest.enabled', flag('digest')],
  ['extendedTypesEnabled', flag('extendedTypes')],
  ['datadir.autocreate', (value, draft) => void (draft.autocreate = trueOrFalse(value))],
  // Nothing to say: what is asked for is so, or makes no difference that shows.
  ['preAllocSize', (value) => void whole(value, 0)],
  // Refused: who reads the file would rely on something that is not there.
  ['db.autocreate', refusedIf(false, 'joining without a vote until the data has come is not offered')],
  ['emulate353TTLNodes', refusedIf(true, 'the TTL znodes of ZooKeeper 3.5.3 are not offered')],
  ['client.portUnification', refusedIf(true, NO_TLS)],
  ['sessionRequireClientSASLAuth', refusedIf(true, NO_SASL)],
  ['enforce.auth.enabled', refusedIf(true, 'to turn away clients without authentication is not offered')],
  [
    'DigestAuthenticationProvider.digestAlg',
    (value) => {
      if (!/^sha-?1$/i.test(value)) throw new RangeError('must be SHA1: ids in ACLs that were made otherwise would match nobody');
    },
  ],
  // Warned of: what happens instead is no weaker.
  [
    'forceSync',
    (value, _, warn) => {
      if (!yesOrNo(value)) warn('has no effect: a change is on disk before it is acknowledged, always');
    },
  ],
  [
    'leaderServes',
    (value, _, warn) => {
      if (!yesOrNo(value)) warn('has no effect: the leader serves clients too');
    },
  ],
  ['observer.syncEnabled', onlyIf(true, 'an observer always writes its log and its snapshots')],
  ['DigestAuthenticationProvider.enabled', onlyIf(true, 'clients may always authenticate by digest')],
  ['audit.enable', onlyIf(false, 'there is no audit log')],
  ['admin.enableServer', onlyIf(false, 'there is no admin server')],
  ['snapshot.trust.empty', onlyIf(false, 'a log without a snapshot is taken if it begins with the first transaction, and only then')],
  ['enableEagerACLCheck', onlyIf(false, 'ACLs are checked by the leader')],
  [
    'snapshot.compression.method',
    (value, _, warn) => {
      if (value !== '') warn('has no effect: snapshots are written as they are; compressed ones by gzip can be read');
    },
  ],
]);

/** How a key of the file is dealt with; undefined for one that nobody knows. */
export function settingOf(key: string): Setting | undefined {
  const property = key.startsWith('zookeeper.') ? key.slice('zookeeper.'.length) : key;
  if (property.startsWith('ssl.')) return refused(NO_TLS);
  const reason = PROPERTIES.has(property) ? undefined : reasonWithoutEffect(property);
  return FILE_KEYS.get(key) ?? PROPERTIES.get(property) ?? (reason === undefined ? undefined : withoutEffect(reason));
}

/** A value that turns something off is as good as none where there is nothing to turn on. */
const withoutEffect =
  (reason: string): Setting =>
  (value, _, warn) => {
    if (!/^(?:0|-1|false|)$/i.test(value)) warn(`has no effect: ${reason}`);
  };
