/** Keys of ZooKeeper 3.8 that there is nothing to turn by here, under the reason; one that ends in `*` stands for all that begin so. */
const KEYS_BY_REASON: Readonly<Record<string, string>> = {
  'one event loop does the work of ZooKeeper’s threads': `nio.* commitProcessor.* quorum.cnxn.threads.size jvm.pause.* learner.asyncSending
    learner.closeSocketAsync leader.closeSocketAsync forward_learner_requests_to_commit_processor_disabled
    follower.skipLearnerRequestToNextProcessor request_throttler.shutdownTimeout`,
  'what has come while the disk was busy is written together, at once': 'flushDelay maxWriteQueuePollTime maxBatchSize',
  'there is one kind of watch table': 'watchManagerName watcherClean* maxInProcessingDeadWatchers bitHashCacheSize',
  'answers are not cached': 'maxResponseCacheSize maxGetChildrenResponseCacheSize',
  'requests are throttled by globalOutstandingLimit alone': `requestThrottle* request_throttle_* requestStale* request_stale_* throttledOpWaitTime
    throttled_op_wait_time largeRequest*`,
  'connections are limited by maxClientCnxns and maxCnxns alone':
    'connectionMaxTokens connectionToken* connectionFreezeTime connectionD* connection_throttle_*',
  'connections are Node’s own': `serverCnxnFactory clientPortListenBacklog tcpKeepAlive clientTcpKeepAlive netty.* advancedFlowControlEnabled
    outstandingHandshake.limit leader.nodelay follower.nodelay`,
  'tickTime, initLimit and syncLimit say it all': `cnxTimeout quorumCnxnTimeoutMs connectToLearnerMasterLimit maxTimeToWaitForEpoch
    leader.maxTimeToWaitForEpoch fastleader.* observer.reconnectDelayMs observer.election.DelayMs electionPortBindRetry
    leaderConnectDelayDuringRetryMs`,
  'observers are served by the leader': 'observerMasterPort observerMaster.*',
  'learners that are sent the log are not limited': 'maxConcurrentDiffSyncs leader.maxConcurrentDiffSyncs',
  'a log file ends at a snapshot, and when it has 64 MiB': 'snapSizeLimitInKb txnLogSizeLimitInKb',
  'nobody measures an fsync': 'fsync.warningthresholdms',
  'there is no admin server': 'admin.*',
  'there are no metrics providers; the word mntr has the figures': 'metricsProvider.*',
  'there is no audit log': 'audit.*',
  'there is no JMX': 'jmx.*',
  'there is no message tracker': 'messageTracker.*',
  'clients authenticate by digest and address only': `authProvider.* superUser superUser.* X509AuthenticationProvider.* ensembleAuthName kerberos.*
    allowSaslFailedClients enforce.auth.schemes requireKerberosConfig quorum.auth.*`,
  'a server has one address': 'multiAddress.*',
  'at most 10,000 are removed at a time, and containers that nobody has used stay':
    'znode.container.maxPerMinute znode.container.maxNeverUsedIntervalMs',
  'a transaction may be as long as its request makes it': 'jute.maxbuffer.extrasize',
  'the version of a configuration is behind the name of its dynamic file': 'version',
};

const REASONS: readonly (readonly [pattern: string, reason: string])[] = Object.entries(KEYS_BY_REASON).flatMap(([reason, keys]) =>
  keys.split(/\s+/).map((pattern) => [pattern, reason] as const),
);

/** Why a key of ZooKeeper's has no effect here; undefined for a key that is not known to be one. */
export function reasonWithoutEffect(key: string): string | undefined {
  const matches = (pattern: string): boolean => (pattern.endsWith('*') ? key.startsWith(pattern.slice(0, -1)) : key === pattern);
  return REASONS.find(([pattern]) => matches(pattern))?.[1];
}
