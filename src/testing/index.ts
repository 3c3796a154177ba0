/* Published as `zab-ensemble/testing`: what the author of a clock, a storage or a transport proves it with. */
export { type ClockHarness, clockConformance } from './clock-conformance.ts';
export type { ConformanceCase } from './conformance.ts';
export { type SocketsHarness, socketsConformance } from './sockets-conformance.ts';
export { type StorageHarness, storageConformance } from './storage-conformance.ts';
export type { TransportHarness } from './transport-bench.ts';
export { type TransportAbilities, transportConformance } from './transport-conformance.ts';
