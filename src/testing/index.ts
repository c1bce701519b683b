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
