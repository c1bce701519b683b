export type { ConnectivityOptions, ProbeContext } from './connectivity-options.js';
export { connectivity, type Connectivity, type ConnectivityState } from './connectivity.js';
export { indexedDbStorage, type IndexedDbStorageOptions } from './indexed-db.js';
export { whileLeading, type LeadContext, type Leadership, type LeadOptions } from './while-leading.js';
export type { WebStorageArea } from './web-area.js';
export { webStorageStorage, type WebStorageStorageOptions } from './web-storage.js';
