export { indexedDbStorage, type IndexedDbStorageOptions } from './indexed-db.js';
export type { WebStorageArea } from './web-area.js';
export { webStorageStorage, type WebStorageStorageOptions } from './web-storage.js';
