export { backplaneSuite, type BackplaneSuiteOptions } from './backplane-suite.js';
export { chaos, type ChaosTier, type TierOperation } from './chaos.js';
export { checkInvariants, InvariantError, type CheckedCache, type InvariantOptions } from './invariants.js';
export { manualClock, type ManualClock, type ManualClockOptions } from './manual-clock.js';
export { watchRejections, type RejectionWatch } from './rejections.js';
export {
  scriptedUpstream,
  type ScriptedCall,
  type ScriptedFlight,
  type ScriptedUpstream,
} from './scripted-upstream.js';
export { storageSuite } from './storage-suite.js';
export type { StorageCapabilities, StorageSuiteOptions, StorageSuiteRunner } from './storage-suite/checks.js';
export { writeQueueSuite } from './write-queue-suite.js';
export type {
  WriteQueueCapabilities,
  WriteQueueSuiteOptions,
  WriteQueueSuiteRunner,
} from './write-queue-suite/checks.js';
export { simulate, type Simulated, type SimulateOptions } from './simulation/simulate.js';
export type { FaultEvent, FaultPlan, Span } from './simulation/faults.js';
export type { Disturbance, History, Operation, OperationKind, Reading, Verdict } from './simulation/history.js';
export type { Recorder } from './simulation/recorder.js';
export type { StorageFeatures } from './simulation/storage.js';
export type { ProcessParts, SimProcess, StorageOptions, World } from './simulation/world.js';
export { checkFreshness, type FreshnessOptions } from './simulation/freshness.js';
export { checkLinearizable, type Model } from './simulation/linearizable.js';
export type { SimulatedStore } from './simulation/store.js';
