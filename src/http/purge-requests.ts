import { checkFunction, checkNames, checkObject } from '../base/checks.js';
import type { MaybePromise } from '../contracts.js';
import { misuse } from '../errors.js';
import type { Ask } from './ask.js';
import { invalidateUrl } from './passage.js';
import { headerTags } from './response-tags.js';
import type { Feature, HttpFeature, HttpSettings } from './settings.js';
import { seeingStale } from './soft-purge.js';

/** Options of {@link purgeRequests}. */
export interface PurgeOptions {
  /** Whether the sender of this request may purge. Anything but `true` is a no; a rejection fails the request. */
  readonly authorize: (request: Request) => MaybePromise<boolean>;
}

/**
 * Lets an HTTP cache answer the method `PURGE`: of a URL, whose stored responses go, all variants included, or with the
 * fields `Cache-Tag` or `Surrogate-Key` of all responses with one of these tags. `Soft-Purge: 1` makes what has these tags
 * stale instead, so that it can still stand in for a failing origin; {@link softPurge} is included.
 *
 * Answers `204` once it holds, `403` to who may not, and `400` for a soft purge without tags, which could not reach
 * the variants. No such request reaches the origin. For the option `use` of a server's cache.
 *
 * @throws TypeError without `authorize`.
 */
export function purgeRequests(options: PurgeOptions): HttpFeature {
  checkObject('options', options);
  checkNames(options, ['authorize']);
  const { authorize } = options;
  checkFunction('authorize', authorize);
  if (authorize === undefined) throw misuse('authorize', 'a function: anybody could empty the cache', authorize);
  const feature: Feature = {
    name: 'purgeRequests',
    install: seeingStale,
    prepare: async (ask, settings) => {
      if (ask.method !== 'PURGE') return ask;
      const { url, method, headers } = ask;
      const may: unknown = await authorize(new Request(url, { method, headers }));
      if (may !== true) return new Response(null, { status: 403 });
      return new Response(null, { status: await purge(ask, settings) });
    },
  };
  return feature;
}

/** Purges what `ask` names. Returns the status that says so. */
async function purge(ask: Ask, settings: HttpSettings): Promise<number> {
  const tags = headerTags(ask.headers);
  const isSoft = ask.headers.get('soft-purge') === '1';
  if (isSoft && tags.length === 0) return 400;
  if (tags.length > 0) await settings.cache.invalidateTags(tags, { mode: isSoft ? 'expire' : 'invalidate' });
  else await invalidateUrl(settings, ask, ask.url);
  return 204;
}
