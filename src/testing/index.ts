/* Published as `zab-ensemble/testing`: what the author of a storage proves it with. */
export { type ConformanceCase, type StorageHarness, storageConformance } from './storage-conformance.ts';
