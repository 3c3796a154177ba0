import { expect, test } from 'vitest';
import { parseZooCfg } from '../../src/config/zoo-cfg.ts';
import { digestId } from '../../src/index.ts';

/*
 * Every key of the administrator's guide of ZooKeeper 3.8, by what becomes of a value that asks for something. A key that the guide calls otherwise than the property
 * stands under both names.
 */

/** Taken without a word. */
const TAKEN = `clientPort=2182 dataDir=/e tickTime=1000 dataLogDir=/f globalOutstandingLimit=500 preAllocSize=1024 snapCount=500 commitLogCount=600
  maxClientCnxns=10 maxCnxns=100 clientPortAddress=127.0.0.1 minSessionTimeout=100 maxSessionTimeout=900000 autopurge.snapRetainCount=5
  autopurge.purgeInterval=2 syncEnabled=true extendedTypesEnabled=true enforceQuota=true maxConcurrentSnapSyncs=3
  leader.maxConcurrentSnapSyncs=3 digest.enabled=false electionAlg=3 initLimit=20 leaderServes=yes syncLimit=9 standaloneEnabled=true
  reconfigEnabled=false 4lw.commands.whitelist=ruok DigestAuthenticationProvider.enabled=true
  DigestAuthenticationProvider.superDigest=${digestId('super:x')} DigestAuthenticationProvider.digestAlg=SHA1 sslQuorum=false
  readonlymode.enabled=true forceSync=yes jute.maxbuffer=2000000 skipACL=yes quorumListenOnAllIPs=true datadir.autocreate=true
  db.autocreate=true znode.container.checkIntervalMs=500 admin.enableServer=false multiAddress.enabled=false peerType=participant`;

/** Something else happens than in ZooKeeper, or nothing: said in a warning. */
const WARNED = `observerMasterPort=2191 snapSizeLimitInKb=1000 txnLogSizeLimitInKb=1000 fsync.warningthresholdms=20
  maxResponseCacheSize=100 maxGetChildrenResponseCacheSize=100 syncEnabled=false observer.syncEnabled=false
  watchManagerName=org.apache.zookeeper.server.watch.WatchManagerOptimized watcherCleanThreadsNum=3 watcherCleanThreshold=100
  watcherCleanIntervalInSeconds=10 maxInProcessingDeadWatchers=100 bitHashCacheSize=20 fastleader.minNotificationInterval=100
  fastleader.maxNotificationInterval=100 connectionMaxTokens=10 connectionTokenFillTime=10 connectionTokenFillCount=10
  connectionFreezeTime=10 connectionDropIncrease=0.1 connectionDropDecrease=0.1 connectionDecreaseRatio=0.1
  zookeeper.connection_throttle_weight_enabled=true zookeeper.connection_throttle_global_session_weight=3
  zookeeper.connection_throttle_local_session_weight=1 zookeeper.connection_throttle_renew_session_weight=2 clientPortListenBacklog=100
  serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory flushDelay=10 maxWriteQueuePollTime=5 maxBatchSize=500
  requestThrottleLimit=100 request_throttle_max_requests=100 requestThrottleStallTime=50 request_throttle_stall_time=50
  requestThrottleDropStale=true request_throttle_drop_stale=true requestStaleLatencyCheck=true request_stale_latency_check=true
  requestStaleConnectionCheck=true request_stale_connection_check=true zookeeper.request_throttler.shutdownTimeout=5000
  advancedFlowControlEnabled=true netty.advancedFlowControl.enabled=true enableEagerACLCheck=true maxConcurrentDiffSyncs=50
  leader.maxConcurrentDiffSyncs=50 snapshot.compression.method=gz snapshot.trust.empty=true audit.enable=true
  audit.impl.class=org.example.Logger largeRequestMaxBytes=1000 largeRequestThreshold=1000 outstandingHandshake.limit=250
  netty.server.outstandingHandshake.limit=250 netty.server.earlyDropSecureConnectionHandshakes=true throttledOpWaitTime=100
  throttled_op_wait_time=100 learner.closeSocketAsync=true leader.closeSocketAsync=true learner.asyncSending=true
  forward_learner_requests_to_commit_processor_disabled=true maxTimeToWaitForEpoch=2000 leader.maxTimeToWaitForEpoch=2000
  connectToLearnerMasterLimit=5 leaderServes=no cnxTimeout=3 quorumCnxnTimeoutMs=100 reconfigEnabled=true tcpKeepAlive=true
  clientTcpKeepAlive=true electionPortBindRetry=9 observer.reconnectDelayMs=100 observer.election.DelayMs=100 localSessionsEnabled=true
  localSessionsUpgradingEnabled=true DigestAuthenticationProvider.enabled=false X509AuthenticationProvider.superUser=CN=x
  zookeeper.superUser=x zookeeper.superUser.1=y zookeeper.ensembleAuthName=x enforce.auth.schemes=sasl authProvider.1=org.example.Provider
  authProvider.sasl=org.example.Provider kerberos.removeHostFromPrincipal=true kerberos.removeRealmFromPrincipal=true
  kerberos.canonicalizeHostNames=true multiAddress.enabled=true multiAddress.reachabilityCheckTimeoutMs=100
  multiAddress.reachabilityCheckEnabled=true zookeeper.follower.skipLearnerRequestToNextProcessor=true forceSync=no
  jute.maxbuffer.extrasize=2000000 zookeeper.nio.numSelectorThreads=2 zookeeper.nio.numWorkerThreads=2
  zookeeper.commitProcessor.numWorkerThreads=2 zookeeper.commitProcessor.maxReadBatchSize=2
  zookeeper.commitProcessor.maxCommitBatchSize=2 znode.container.maxPerMinute=100 znode.container.maxNeverUsedIntervalMs=100
  zookeeper.messageTracker.BufferSize=20 zookeeper.messageTracker.Enabled=true admin.forceHttps=true admin.portUnification=true
  admin.enableServer=true admin.serverAddress=127.0.0.1 admin.serverPort=8081 admin.idleTimeout=100 admin.commandURL=/c
  metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider metricsProvider.httpHost=0.0.0.0
  metricsProvider.httpPort=7000 metricsProvider.exportJvmInfo=true metricsProvider.numWorkerThreads=2 metricsProvider.maxQueueSize=10
  metricsProvider.workerShutdownTimeoutMs=10 quorum.cnxn.threads.size=20 quorum.auth.learner.saslLoginContext=QuorumLearner
  jvm.pause.warn-threshold.ms=100 peerType=observer`;

/** The server would be weaker than the file says. */
const REFUSED = `secureClientPort=2281 secureClientPortAddress=127.0.0.1 emulate353TTLNodes=true electionAlg=1 electionAlg=2
  DigestAuthenticationProvider.digestAlg=SHA3-256 ssl.authProvider=x sessionRequireClientSASLAuth=true enforce.auth.enabled=true
  sslQuorum=true ssl.keyStore.location=/x ssl.keyStore.password=x ssl.quorum.keyStore.location=/x ssl.quorum.keyStore.password=x
  ssl.keyStore.passwordPath=/x ssl.keyStore.type=JKS ssl.trustStore.location=/x ssl.trustStore.password=x ssl.trustStore.passwordPath=/x
  ssl.trustStore.type=JKS ssl.protocol=TLSv1.2 ssl.quorum.protocol=TLSv1.2 ssl.enabledProtocols=TLSv1.2 ssl.ciphersuites=x
  ssl.context.supplier.class=x ssl.hostnameVerification=true ssl.crl=true ssl.ocsp=true ssl.clientAuth=need
  ssl.handshakeDetectionTimeoutMillis=5000 client.portUnification=true portUnification=true sslQuorumReloadCertFiles=true
  db.autocreate=false oraclePath=/x quorum.auth.enableSasl=true quorum.auth.learnerRequireSasl=true quorum.auth.serverRequireSasl=true
  dynamicConfigFile=/x`;

const words = (text: string): string[] => text.split(/\s+/);
const SERVERS = 'server.1=a:2888:3888\nserver.2=b:2888:3888\nserver.3=c:2888:3888\n';

/** A file that is in order and without warnings but for what `line` does. */
const file = (line: string): string => {
  const key = line.slice(0, line.indexOf('='));
  const others = ['dataDir=/d', 'clientPort=2181', 'autopurge.purgeInterval=1'].filter((other) => !other.startsWith(`${key}=`));
  return [...others, line, SERVERS].join('\n');
};
const warningsOf = (line: string): string[] => parseZooCfg(file(line), { myid: '1' }).warnings;

test.each(words(TAKEN))('%s is taken', (line) => {
  expect(warningsOf(line)).toEqual([]);
});

test.each(words(WARNED))('%s is warned of', (line) => {
  const warnings = warningsOf(line);
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toContain(line);
  expect(warnings[0]).not.toContain('unknown');
});

test.each(words(REFUSED))('%s is refused', (line) => {
  expect(() => parseZooCfg(file(line), { myid: '1' })).toThrow();
});

test.each([
  'connectionMaxTokens=0',
  'flushDelay=0',
  'audit.enable=false',
  'snapshot.compression.method=',
  'largeRequestThreshold=-1',
  'secureClientPort=0',
])('%s asks for nothing, so nothing is said', (line) => {
  expect(warningsOf(line)).toEqual([]);
});
