import type { Feature, HttpFeature, HttpSettings } from './settings.js';
import { asAnswer, ageOf } from './stored-response.js';

/**
 * Lets an HTTP cache see what was made stale by hand: `cache.invalidateTags(tags, { mode: 'expire' })` and `cache.expire(key)`.
 * Such a response is validated before it is reused, or served while it is renewed, and may stand in for a failing origin,
 * as one whose lifetime has just ended. For the option `use`; each hit then reads the cache twice.
 */
export function softPurge(): HttpFeature {
  const feature: Feature = { name: 'softPurge', install: seeingStale };
  return feature;
}

/** Goes by the cache as well: it knows what was made stale, where the response knows only when it was made. */
export function seeingStale({ read, shared, clock, cache }: HttpSettings): Pick<HttpSettings, 'read'> {
  return {
    read: async (key, options) => {
      const found = await read(key, options);
      const answer = asAnswer(found, shared);
      if (answer === undefined) return found;
      const age = ageOf(answer, clock.now());
      const { rules } = answer;
      if (age >= rules.lifetime || (await cache.getIfCached(key, { ...options, maxStale: 0 })) !== undefined)
        return found;
      return { ...answer, rules: { ...rules, lifetime: age, immutable: false } };
    },
  };
}
