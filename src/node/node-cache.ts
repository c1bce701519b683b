import type { TieredCache } from '../cache/tiered-cache.js';
import { readAsk, type Ask } from '../http/ask.js';
import { HTTP_OPTIONS, resolveHttpOptions, type HttpCacheOptions } from '../http/http-options.js';
import { around, through } from '../http/passage.js';
import type { HttpSettings, Origin } from '../http/settings.js';
import type { StoredResponse } from '../http/stored-response.js';
import { withoutVisitor } from '../http/visitor-headers.js';
import { NodeRun } from './node-run.js';
import { webHeaders, type NodeRequest, type NodeResponse } from './node-types.js';

/** A middleware in the form that Express, Connect and others share, and that needs no more than `node:http`. */
export interface NodeCache {
  (request: NodeRequest, response: NodeResponse, next: (error?: unknown) => unknown): Promise<void>;
  /** The cache that holds the responses. Close it when you are done. Its statistics count its reads: a request may take several. */
  readonly cache: TieredCache<StoredResponse>;
}

/**
 * A middleware for Express, and for a server of `node:http`, that serves the reusable responses of what `next` runs from a cache.
 *
 * A route can answer a request once. Stale responses are therefore renewed before they are served. A route that throws,
 * answers with a 5xx, or destroys its response fails for its own request alone: others run it themselves. Headers that
 * were set before are not stored, unless they say how the response is to be read or cached. While others wait for a
 * route, it does not hear that its own client has gone (`close`); it does when the last of them has.
 *
 * `next` is called with an error only if an option of yours throws one.
 *
 * @throws TypeError for an option that makes no sense.
 *
 * @example
 * ```ts
 * import { createServer } from 'node:http';
 * import { nodeCache } from 'soloflight/node';
 *
 * const cache = nodeCache();
 * let runs = 0;
 * const server = createServer((request, response) =>
 *   cache(request, response, () => response.setHeader('cache-control', 'max-age=60').end(`run ${++runs}`)),
 * );
 * await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
 * const { port } = server.address() as { port: number };
 * const asked = [1, 2, 3].map(async () => (await fetch(`http://127.0.0.1:${port}/`)).text());
 * console.log(await Promise.all(asked)); // [ 'run 1', 'run 1', 'run 1' ]
 * server.close();
 * ```
 */
export function nodeCache(options: HttpCacheOptions = {}): NodeCache {
  const settings = nodeSettings(options);
  const middleware = async (
    request: NodeRequest,
    response: NodeResponse,
    next: (error?: unknown) => unknown,
  ): Promise<void> => {
    const ask = askOf(settings, request, response);
    if (ask === undefined) return void (await next());
    const run = new NodeRun(request, response, () => next());
    await pass(settings, ask, run, next);
  };
  return Object.assign(middleware, { cache: settings.cache });
}

/** A route runs once per request, so nothing can be renewed behind a client's back. */
export function nodeSettings(options: HttpCacheOptions): HttpSettings {
  return { ...resolveHttpOptions(options, HTTP_OPTIONS), canRevalidate: false };
}

/** The request in the form of the cache; `undefined` if that can make nothing of it, or if it has its answer already. */
export function askOf(settings: HttpSettings, request: NodeRequest, response: NodeResponse): Ask | undefined {
  if (response.headersSent || response.writableEnded) return undefined;
  const { method = 'GET', headers, socket } = request;
  // Routers of Express shorten `url` to what is below them.
  const { originalUrl = request.url ?? '/' } = request as { readonly originalUrl?: string };
  const host = headers['host'] ?? headers[':authority'];
  if (typeof host !== 'string' || !originalUrl.startsWith('/')) return undefined;
  const scheme = (socket as { readonly encrypted?: boolean }).encrypted === true ? 'https' : 'http';
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  const own = webHeaders(headers);
  const init = { method, headers: own, redirect: 'manual', ...(hasBody ? { body: '' } : {}) } as const;
  const ask = readAsk(`${scheme}://${host}${originalUrl}`, init, settings.isDeaf);
  // The route sees the target as it was sent. Where dots or a fragment make another URL of it, its answer is not that URL's.
  return ask === undefined || isAsSent(ask.url, host, originalUrl) ? ask : { ...ask, special: true };
}

function isAsSent(url: string, host: string, target: string): boolean {
  const { pathname, search } = new URL(url);
  return `${pathname}${search}` === (target.endsWith('?') ? target.slice(0, -1) : target) && !/[/?#\\]/.test(host);
}

/** Answers one request: from the cache, or by its run. */
export async function pass(
  settings: HttpSettings,
  asked: Ask,
  run: NodeRun,
  next: (error: unknown) => unknown,
): Promise<void> {
  const ask = { ...asked, signal: run.signal };
  const origin: Origin = async ({ headers, signal, keepApart }) => {
    const response = await run.answer(headers, signal);
    if (response === run.failed) keepApart?.();
    return response === run.failed ? response : withoutVisitor(response, run.outside);
  };
  const asIs = (): Promise<Response> => run.answer(undefined, undefined);
  let response: Response;
  try {
    const answer = await through(settings, ask, origin);
    response = answer ?? (await around(settings, ask, asIs));
    // `around` makes another response of it, which nobody would know again.
    if (answer === undefined && run.failed !== undefined) response = run.failed;
  } catch (error) {
    // The caller's own error, of a route that destroyed its response, has been told already.
    if (run.signal.aborted) return;
    run.abandon();
    await next(error);
    return;
  }
  await run.end(response);
}
