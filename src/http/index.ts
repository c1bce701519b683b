export { cachedFetch, type CachedFetch, type CachedFetchOptions } from './cached-fetch.js';
export { fetchUpstream, HttpStatusError, type FetchUpstreamOptions } from './fetch-upstream.js';
export { cachedHandler, type CachedHandler } from './handler.js';
export { honoCache, type HonoCache } from './hono.js';
export type { HonoContextLike } from './hono-run.js';
export type { HttpCacheOptions } from './http-options.js';
export { sizeOfResponse } from './response-size.js';
export type { StoredResponse } from './stored-response.js';
