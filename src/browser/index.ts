export type { BrowserQueue, BrowserStorage } from './browser-storage.js';
export type { ConnectivityOptions, ProbeContext } from './connectivity-options.js';
export { connectivity, type Connectivity, type ConnectivityState } from './connectivity.js';
export type { IndexedDbOptions } from './indexed-db-options.js';
export { indexedDbQueue } from './indexed-db-queue.js';
export { indexedDbStorage } from './indexed-db.js';
export { whileLeading, type LeadContext, type Leadership, type LeadOptions } from './while-leading.js';
export type {
  CallOptions,
  SharedDeadLetters,
  SharedUpdateOptions,
  SharedWrites,
  SharedWritesOptions,
  WritesLike,
} from './shared-writes-options.js';
export { sharedWrites } from './shared-writes.js';
export type { WebStorageArea } from './web-area.js';
export type { WebStorageOptions } from './web-storage-options.js';
export { webStorageQueue } from './web-storage-queue.js';
export { webStorageStorage } from './web-storage.js';
