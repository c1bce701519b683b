export { cachedFetch, type CachedFetch, type CachedFetchOptions } from './cached-fetch.js';
export { sizeOfResponse, type HttpCacheOptions } from './http-options.js';
export type { StoredResponse } from './stored-response.js';
