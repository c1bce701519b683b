export type { HttpCacheOptions } from '../http/http-options.js';
export type { StoredResponse } from '../http/stored-response.js';
export {
  fastifyCache,
  type FastifyCache,
  type FastifyLike,
  type FastifyReplyLike,
  type FastifyRequestLike,
} from './fastify-cache.js';
export { nodeCache, type NodeCache } from './node-cache.js';
export type { NodeRequest, NodeResponse } from './node-types.js';
