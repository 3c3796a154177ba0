/*
 * Published as `zab-ensemble/testing`: a deterministic simulator for code that uses an ensemble, and what the author of a clock, a storage or a transport proves it with.
 */

// An ensemble in simulated time.
export { ProcessDied } from './awaitable.ts';
export type { Chance } from './chance.ts';
export type { ClientOptions, ClientProgram, SimClient } from './client.ts';
// A checker for histories of the caller's own operations.
export { checkLinearizable, type Operation, type SequentialModel, type Verdict } from './clients/linearizability.ts';
// Clients that load an ensemble and check every answer: the replica itself is proven with them.
export type { WorkloadPlan } from './clients/plan.ts';
export { Workload, type WorkloadOptions, type WorkloadStatistics } from './clients/workload.ts';
// Suites for the seams.
export { type ClockHarness, clockConformance } from './clock-conformance.ts';
export type { ConformanceCase } from './conformance.ts';
export type { DiskImage, DiskLatency, Remains, SimDisk } from './disk.ts';
export type { CrashMoment, DiskCounts, DiskFault, StepPattern } from './disk-faults.ts';
// Many seeds, one seed again, and what a failing one comes down to.
export { type Exploration, ExplorationFailed, type ExploreOptions, explore, replay, report, shrink, traceOf } from './explore.ts';
export { FAULT_KINDS, type Fault, type FaultKind, type FaultMix, type WholeFault } from './faults.ts';
export { finale } from './finale.ts';
export type { Machine } from './machine.ts';
export type { ConnectionView, SimNetwork } from './network.ts';
export type { NetworkCounts, PathSettings } from './network-path.ts';
export { type Deed, type Probe, Violation } from './probe.ts';
export type { Program } from './program.ts';
export { type RunControl, type RunOptions, type RunResult, runSeed, type Scenario } from './run.ts';
export {
  createSimulation,
  type PartitionOptions,
  type ProcessParts,
  type SharedOptions,
  type SimulatedServer,
  type Simulation,
  type SimulationOptions,
} from './simulation.ts';
export type { SocketsHarness } from './sockets-bench.ts';
export { socketsConformance } from './sockets-conformance.ts';
export { type StorageHarness, storageConformance } from './storage-conformance.ts';
export type { SendFilter, VoteFilter } from './taps.ts';
export type { TraceLine } from './trace.ts';
export type { TransportHarness } from './transport-bench.ts';
export { type TransportAbilities, transportConformance } from './transport-conformance.ts';
export { drawOptions } from './vary.ts';
export type { WireDeed } from './wire-deeds.ts';
export type { WireProbe } from './wire-tap.ts';
