export { durableStorage, type DurableStorageOptions } from './durable-storage.js';
