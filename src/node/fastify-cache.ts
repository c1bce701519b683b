import type { TieredCache } from '../cache/tiered-cache.js';
import type { HttpCacheOptions } from '../http/http-options.js';
import type { StoredResponse } from '../http/stored-response.js';
import { askOf, nodeSettings, pass } from './node-cache.js';
import { NodeRun } from './node-run.js';
import type { NodeRequest, NodeResponse } from './node-types.js';

/** The part of a Fastify request that is used here. */
export interface FastifyRequestLike {
  readonly raw: NodeRequest;
  readonly log: { error(error: unknown): void };
}

/** The part of a Fastify reply that is used here. */
export interface FastifyReplyLike {
  readonly raw: NodeResponse;
  getHeaders(): ReturnType<NodeResponse['getHeaders']>;
  hijack(): unknown;
}

/** The part of a Fastify instance that is used here. */
export interface FastifyLike {
  addHook(
    name: 'onRequest',
    hook: (request: FastifyRequestLike, reply: FastifyReplyLike, done: (error?: Error) => void) => void,
  ): unknown;
}

/** A plugin for Fastify. */
export interface FastifyCache {
  (instance: FastifyLike, options: unknown, done: (error?: Error) => void): void;
  /** The cache that holds the responses. Close it when you are done. Its statistics count its reads: a request may take several. */
  readonly cache: TieredCache<StoredResponse>;
}

/**
 * A plugin for Fastify that serves the reusable responses of the routes behind it from a cache: what {@link nodeCache} is
 * for Express, with the same promises.
 *
 * Its hook `onRequest` runs in the order of registration. Hooks before it run for each request, and the headers they set
 * are not stored; hooks behind it, `onSend` among them, run with the route alone. It holds for the instance that it is
 * registered on, as if made with `fastify-plugin`.
 *
 * @throws TypeError for an option that makes no sense.
 */
export function fastifyCache(options: HttpCacheOptions = {}): FastifyCache {
  const settings = nodeSettings(options);
  const plugin = (instance: FastifyLike, _options: unknown, done: () => void): void => {
    instance.addHook('onRequest', (request, reply, next) => {
      const ask = askOf(settings, request.raw, reply.raw);
      if (ask === undefined) return next();
      const run = new NodeRun(request.raw, reply.raw, () => next(), {
        headers: reply.getHeaders(),
        takeOver: () => void reply.hijack(),
      });
      const fail = (error: unknown): void => {
        if (!run.isRun) return next(error as Error);
        // Fastify takes the reply for sent.
        request.log.error(error);
        reply.raw.statusCode = 500;
        reply.raw.end();
      };
      void pass(settings, ask, run, fail);
    });
    done();
  };
  return Object.assign(plugin, {
    cache: settings.cache,
    // What the package `fastify-plugin` does: the hook is that of the instance, not of a child of it.
    [Symbol.for('skip-override')]: true,
    [Symbol.for('fastify.display-name')]: 'soloflight',
  });
}
