import { connectSession } from './client/connect.ts';
import type { ConnectOptions as PortableConnectOptions } from './client/options.ts';
import { nodeEnvironment } from './config/node-environment.ts';
import { ZabError } from './model/errors.ts';
import type { EnsembleNode, EnsembleOptions, Session } from './node/api.ts';
import { createNode } from './node/create.ts';
import { systemClock, systemRandom } from './node/system-clock.ts';
import type { Sockets } from './seams/sockets.ts';
import type { Storage } from './seams/storage.ts';
import type { Transport } from './seams/transport.ts';
import { type FileStorageOptions as PortableFileOptions, fileStorage as portableFileStorage } from './storage/file-storage.ts';
import { nodeFileSystem } from './storage/node-file-system.ts';
import { nodeGunzip } from './storage/node-gunzip.ts';
import { type NodeSocketsOptions, nodeSockets } from './transport/node-sockets.ts';
import { soloTransport } from './transport/solo.ts';
import { type TcpTransportOptions as PortableTcpOptions, tcpTransport as portableTcpTransport } from './transport/tcp.ts';

/** {@link EnsembleOptions} with defaults for the parts around the protocol: TCP, a data directory, the host's clock. */
export interface NodeOptions extends Omit<EnsembleOptions, 'transport' | 'storage' | 'clock' | 'random' | 'sockets'> {
  /** Folder of the transaction log, the snapshots and the epochs: a ZooKeeper data directory. Needed unless `storage` is given. */
  readonly dataDir?: string;
  /** Folder of the transaction log, when it is to be another one; best on a device of its own. @default `dataDir` */
  readonly dataLogDir?: string;
  /** Address on which the ports for other servers listen; `0.0.0.0` or `::` for all. @default the host of this server in `servers` */
  readonly listenHost?: string;
  /** @default `tcpTransport({ listenHost })`; for a standalone server one that opens no port */
  readonly transport?: EnsembleOptions['transport'];
  /** @default `fileStorage({ dataDir, dataLogDir })` */
  readonly storage?: EnsembleOptions['storage'];
  /** @default `systemClock()` */
  readonly clock?: EnsembleOptions['clock'];
  /** @default `systemRandom()` */
  readonly random?: EnsembleOptions['random'];
  /** Under the client port. @default `nodeSockets()` */
  readonly sockets?: EnsembleOptions['sockets'];
}

/**
 * Makes a replica of an ensemble in this process; it does nothing before its `start()`. Throws a ZabError with code BAD_OPTIONS when an option is out of rule.
 */
export function createEnsembleNode(options: NodeOptions): EnsembleNode {
  const { dataDir, dataLogDir, listenHost, ...rest } = options;
  return createNode({
    ...rest,
    transport: options.transport ?? (options.standalone === true ? soloTransport() : tcpTransport({ listenHost })),
    storage: options.storage ?? dataStorage(dataDir, dataLogDir),
    clock: options.clock ?? systemClock(),
    random: options.random ?? systemRandom(),
    sockets: options.sockets ?? nodeSockets(),
    environment: options.environment ?? nodeEnvironment,
  });
}

/** Options of {@link connect}. */
export interface ConnectOptions extends Omit<PortableConnectOptions, 'sockets' | 'clock' | 'random'> {
  /** @default `nodeSockets()` */
  readonly sockets?: Sockets;
  /** @default `systemClock()` */
  readonly clock?: PortableConnectOptions['clock'];
  /** @default `systemRandom()` */
  readonly random?: PortableConnectOptions['random'];
}

/**
 * Opens a session over TCP at any ZooKeeper ensemble, or goes on with one: the same {@link Session} that `openSession` gives in process. `servers` is a list such as `host:2181,host2:2181`, tried
 * in random order; a path behind it (`/app`) is what all paths of the session are relative to, and must exist.
 *
 * Rejects with CONNECTION_LOSS when no server has opened the session within `openTimeout`, with SESSION_EXPIRED when the one to go on with does not exist, with AUTH_FAILED, with ABORTED by
 * the signal, and with BAD_OPTIONS.
 */
export function connect(servers: string, options: ConnectOptions = {}): Promise<Session> {
  return connectSession(servers, {
    ...options,
    sockets: options.sockets ?? nodeSockets(),
    clock: options.clock ?? systemClock(),
    random: options.random ?? systemRandom(),
  });
}

function dataStorage(dataDir: string | undefined, dataLogDir = dataDir): EnsembleOptions['storage'] {
  for (const [name, folder] of Object.entries({ dataDir, dataLogDir })) {
    if (typeof folder !== 'string' || folder === '') {
      throw new ZabError('BAD_OPTIONS', `option ${name}: must name a folder, unless storage is given`);
    }
  }
  return fileStorage({ dataDir: dataDir as string, dataLogDir });
}

/** Options of {@link fileStorage}. */
export interface FileStorageOptions extends Omit<PortableFileOptions, 'fs' | 'gunzip'> {
  /**
   * The file system to work on.
   * @default nodeFileSystem()
   */
  readonly fs?: PortableFileOptions['fs'];
}

/** Storage in a ZooKeeper data directory, which Apache ZooKeeper can open as well (PROTOCOL 15, 16). One at a time may have it open. */
export function fileStorage({ fs = nodeFileSystem(), ...rest }: FileStorageOptions): Storage {
  return portableFileStorage({ ...rest, fs, gunzip: nodeGunzip });
}

/** Options of {@link tcpTransport}. */
export interface TcpTransportOptions extends Omit<PortableTcpOptions, 'sockets'>, NodeSocketsOptions {
  /**
   * The connections under it; `lookup` is not used then.
   * @default `nodeSockets({ lookup })`
   */
  readonly sockets?: Sockets;
}

/**
 * A transport over TCP in ZooKeeper's formats (PROTOCOL 12, 14): it can talk to Apache ZooKeeper servers.
 *
 * A name that cannot be resolved is a failed attempt to connect. The own name is looked up again until `connectTimeout` is over; only then does `open` fail
 * (faults 3320, 3756).
 */
export function tcpTransport(options: TcpTransportOptions = {}): Transport {
  const { lookup, sockets = nodeSockets({ lookup }), ...rest } = options;
  return portableTcpTransport({ ...rest, sockets });
}

export { connectSession } from './client/connect.ts';
export type { Credential } from './client/options.ts';
export { keepMembers } from './config/node-dynamic-file.ts';
// A server from a file.
export { configFromZooCfg, type ZooCfgFile } from './config/node-zoo-cfg-file.ts';
export type { ZooCfgOptions } from './config/settings.ts';
export { CreateFlag, Err, EventType, type EventTypeCode, Op, Perms } from './model/codes.ts';
// Errors, values and what helps with them.
export { type ErrorCode, type Outcome, ZabError } from './model/errors.ts';
export type {
  Acl,
  Id,
  Request,
  SnapshotDigest,
  SnapshotHead,
  SnapshotSink,
  SnapshotSource,
  Stat,
  TxnDigest,
  ZnodeRecord,
} from './model/records.ts';
export { compareZxid, counterOf, epochOf, formatZxid, makeZxid, parseZxidHex, ZXID_NONE, zxidEquals, zxidHex } from './model/zxid.ts';
export { CREATOR_ALL_ACL } from './node/acl.ts';
export { MultiError } from './node/answers.ts';
// The node and its sessions.
export type {
  CallOptions,
  CreateMode,
  CreateOptions,
  DataInput,
  EnsembleNode,
  EnsembleOptions,
  MultiErrorResults,
  MultiOperation,
  MultiResult,
  NodeEvents,
  ReadOperation,
  ReadOptions,
  ReadResult,
  Role,
  ServerSpec,
  Session,
  SessionEvents,
  SessionOptions,
  SessionState,
  TreeReader,
  VersionOptions,
  WatchEvent,
  Watcher,
  WatchKind,
  WatchOptions,
} from './node/api.ts';
export { createNode } from './node/create.ts';
export { systemClock, systemRandom } from './node/system-clock.ts';
// The seams and what is there to fill them.
export type { Clock, TimerHandle } from './seams/clock.ts';
export type { Logger, LogLevel } from './seams/logger.ts';
export type { Random } from './seams/random.ts';
export type { ByteSocket, Listener, SocketHandler, Sockets } from './seams/sockets.ts';
export type { Done, Recovered, RecoverySink, Storage, StorageOptions } from './seams/storage.ts';
export type {
  OpenTransport,
  QuorumLink,
  QuorumLinkHandler,
  ServerAddress,
  Transport,
  TransportHandler,
  TransportOptions,
} from './seams/transport.ts';
export { memoryStorage } from './storage/memory-storage.ts';
export { type CutOptions, type DelayRule, MemoryNetwork } from './transport/memory.ts';
export { type NodeSocketsOptions, nodeSockets } from './transport/node-sockets.ts';
export { OPEN_ACL, READ_ACL } from './tree/acl.ts';
export { digestId } from './tree/sha1.ts';
export type { ZnodeData } from './tree/znode-data.ts';
export { InvariantError } from './util/assert.ts';
export { type Octets, octetsFromBytes, octetsFromText, octetsToBytes, octetsToText } from './util/bytes.ts';

// The codecs of the two ports between servers, for authors of transports.
export {
  type ElectionAlgorithm,
  ElectionDecoder,
  type ElectionHeader,
  encodeElectionHeader,
  encodeElectionMessage,
  readElectionHeader,
} from './wire/election.ts';
export { JuteError, JuteReader, JuteUnderflow, JuteWriter } from './wire/jute.ts';
export { encodeQuorumMessage, QuorumDecoder } from './wire/quorum.ts';
export { LogEntry } from './zab/entry.ts';
export { type ElectionMessage, type Notification, Packet, PeerState, type QuorumMessage } from './zab/messages.ts';
