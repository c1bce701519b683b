import { isSoloflightError } from '../errors.js';
import type { Ask } from './ask.js';
import { plainUrl } from './ask.js';
import { withDigests } from './credentials.js';
import { HEAD_KEY, passThrough } from './http-cache.js';
import { notCached, notModified, rebuilt } from './respond.js';
import type { HttpSettings, Origin } from './settings.js';
import { told } from './told.js';
import { callerHasIt, isConditional, isForOriginOnly } from './validation.js';

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/** The answer to a request that the cache handles; `undefined` for any other request. */
export async function through(settings: HttpSettings, asked: Ask, origin: Origin): Promise<Response | undefined> {
  let ask = asked;
  for (const { prepare } of settings.features) {
    const prepared = (await prepare?.(ask, settings)) ?? ask;
    if ('status' in prepared) return prepared;
    ask = prepared;
  }
  const isOurs =
    settings.methods.has(ask.method) &&
    !ask.hasBody &&
    !ask.special &&
    !ask.wants.bypass &&
    !isForOriginOnly(ask.headers);
  const key = isOurs ? settings.keyOf(ask) : undefined;
  if (key === undefined) return undefined;
  // Those of one user are still several, who must not see each other's answers: accounts, roles, or a tenant's tokens.
  const own = settings.shared ? ask : { ...ask, selectors: await withDigests(ask.headers) };
  const response = await passThrough(settings, own, origin, key);
  const isNews =
    !isConditional(ask.headers) || !callerHasIt(ask.headers, response.status, response.headers, settings.clock.now());
  return isNews ? response : notModified(response);
}

/** Sends a request that the cache does not handle, and invalidates what it changes. */
export async function around(settings: HttpSettings, ask: Ask, send: () => Promise<Response>): Promise<Response> {
  const about = { ask, key: undefined };
  const isCacheable = settings.methods.has(ask.method);
  if (isCacheable && (settings.onlyIfCached || ask.wants.onlyIfCached)) return notCached(settings, about);
  const response = await send();
  const isUnsafe = !SAFE.has(ask.method);
  if (isUnsafe && response.status < 400) await invalidateAfter(settings, ask, response);
  const forwarded = isCacheable ? 'bypass' : 'method';
  const status = told(settings, about, { forwarded, forwardStatus: response.status });
  return status === undefined ? response : rebuilt(response, { status });
}

/** After a successful unsafe request, invalidates its target and the response's pointers to the same origin (RFC 9111 §4.4). */
async function invalidateAfter(settings: HttpSettings, ask: Ask, response: Response): Promise<void> {
  const { origin } = new URL(ask.url);
  const pointers = ['location', 'content-location'].map((name) => response.headers.get(name));
  const urls = [ask.url, response.url, ...pointers].map((url) => (url ? plainUrl(url, ask.url) : undefined));
  const near = new Set(urls.filter((url) => url !== undefined && new URL(url).origin === origin));
  await Promise.all([...near].map((url) => invalidateUrl(settings, ask, url!))).catch((error: unknown) => {
    // Nothing answers from a closed cache any more; the request itself succeeded.
    if (!isSoloflightError(error, 'SOLOFLIGHT_CACHE_CLOSED')) throw error;
  });
}

/** Makes everything stored for `url` unusable, all variants included. */
export async function invalidateUrl(settings: HttpSettings, ask: Ask, url: string): Promise<void> {
  const key = settings.keyOf({ ...ask, url, method: 'GET' });
  if (key !== undefined) await settings.cache.invalidate([key, `${key}${HEAD_KEY}`]);
}
