import { describe, expect, test } from 'vitest';

import { loaded, mapStorage, TieredCache, type CacheEvent, type TieredCacheOptions } from '../../src/index.js';
import { settle, setupCache } from '../support/setup-cache.js';

const denied = Object.assign(new Error('forbidden'), { status: 403 });
const broken = Object.assign(new Error('bad gateway'), { status: 502 });

const deny = async (): Promise<string> => {
  throw denied;
};

const isOutage = (error: unknown): boolean => !((error as { readonly status?: number }).status! < 500);

/** A cache without stale-while-revalidate that falls back on outages alone, and holds a secret that has just expired. */
async function setup(options: Omit<Partial<TieredCacheOptions<string>>, 'clock'> = {}) {
  const parts = setupCache({
    staleWhileRevalidate: 0,
    staleIfError: { for: '1h', when: isOutage },
    errorBackoff: { initial: 0, max: 0 },
    ...options,
  });
  const first = parts.cache.get('k');
  await settle();
  parts.upstream.calls[0]!.resolve('secret');
  await first;
  parts.clock.advance(1_000);
  /** Reads `k`, and lets its load, if there is one, fail with `error`. */
  const readFailing = async (error: unknown, read = () => parts.cache.get('k')) => {
    const reading = read();
    await settle();
    for (const call of parts.upstream.calls) if (!call.settled) call.reject(error);
    return reading.catch((reason: unknown) => reason);
  };
  return { ...parts, readFailing };
}

describe('staleIfError with a condition', () => {
  test('covers an outage, and not a 403: yesterday’s secret is for nobody who is denied today', async () => {
    const { cache, readFailing } = await setup();

    expect(await readFailing(broken)).toBe('secret');
    expect(await readFailing(denied)).toBe(denied);

    expect(cache.getStats().fallbacks).toBe(1);
    expect(await readFailing(denied, () => cache.refresh('k'))).toBe(denied);
  });

  test('does not bring the secret back at the outage after a 403, not even from storage', async () => {
    const storage = mapStorage();
    const { cache, clock, readFailing } = await setup({ storage });

    await readFailing(denied);
    await cache.idle();

    expect(await readFailing(broken)).toBe(broken);
    const other = setupCache({ storage, clock });
    expect(await other.cache.getIfCached('k')).toBeUndefined();
  });

  test('ends the stale value too when its reload in the background is denied', async () => {
    const { cache, readFailing } = await setup({ staleWhileRevalidate: '1h' });

    expect(await readFailing(denied)).toBe('secret');
    await settle();

    expect(cache.peek('k')).toBeUndefined();
    expect(await readFailing(denied)).toBe(denied);
  });

  test('tells the key, and the very error, also that of a timeout', async () => {
    const asked: [unknown, string][] = [];
    const { cache, clock } = await setup({
      maxDuration: '10s',
      staleIfError: {
        for: '1h',
        when: (error, key) => {
          asked.push([error, key]);
          return true;
        },
      },
    });

    const read = cache.get('k');
    await clock.advanceAsync(10_000);

    expect(await read).toBe('secret');
    expect(asked).toEqual([[expect.objectContaining({ code: 'SOLOFLIGHT_FLIGHT_TIMEOUT' }), 'k']]);
  });

  test('is asked of the reads that a backed-off failure answers, so that another error is not passed over', async () => {
    let allowed = true;
    const { readFailing, upstream } = await setup({
      staleIfError: { for: '1h', when: () => allowed },
      errorBackoff: { initial: '1m', max: '1m' },
    });
    expect(await readFailing(broken)).toBe('secret');
    expect(await readFailing(broken)).toBe('secret');
    expect(upstream.count).toBe(2);
    allowed = false;

    expect(await readFailing(denied)).toBe(denied);
  });

  test.each([
    ['throws', () => { throw new Error('in when'); }], // prettier-ignore
    ['answers with a promise', async () => true],
    ['answers with a number', () => 1],
  ])('covers nothing when it %s, and says so in an event', async (_how, when) => {
    const { cache, readFailing } = await setup({ staleIfError: { for: '1h', when: when as never } });
    const errors: Extract<CacheEvent, { type: 'error' }>[] = [];
    cache.on('error', (event) => errors.push(event));

    expect(await readFailing(broken)).toBe(broken);

    expect(errors).toEqual([expect.objectContaining({ source: 'staleIfError.when', key: 'k' })]);
  });

  test('without a condition covers everything, as a duration does', async () => {
    const { readFailing } = await setup({ staleIfError: { for: '1h' } });

    expect(await readFailing(denied)).toBe('secret');
  });

  test('answers no caller whose patience ends, where a timeout is not covered', async () => {
    const { cache, clock } = await setup({ softTimeout: '1s', staleIfError: { for: '1h', when: () => false } });

    const soft = cache.get('k');
    const own = cache.get('k', { timeout: '2s' });
    await clock.advanceAsync(2_000);

    await expect(own).rejects.toMatchObject({ code: 'SOLOFLIGHT_CALLER_TIMEOUT' });
    await clock.advanceAsync(30_000);
    await expect(soft).rejects.toMatchObject({ code: 'SOLOFLIGHT_FLIGHT_TIMEOUT' });
  });
});

describe('staleIfError of one call', () => {
  test('decides for the load that it leads, and goes with the value that it brings', async () => {
    const { cache, clock } = setupCache({ staleWhileRevalidate: 0, errorBackoff: { initial: 0, max: 0 } });
    const rule = { staleIfError: { for: '1h', when: isOutage } } as const;
    await cache.getOrLoad('k', () => 'secret', rule);
    clock.advance(1_000);
    const fails = (error: unknown) => async (): Promise<string> => {
      throw error;
    };

    expect(await cache.getOrLoad('k', fails(broken))).toBe('secret');
    await expect(cache.getOrLoad('k', fails(denied))).rejects.toBe(denied);
  });

  test('goes with a value that was set', async () => {
    const { cache, clock } = setupCache({ staleWhileRevalidate: 0, upstream: deny });
    await cache.set('k', 'secret', { staleIfError: { for: '1h', when: isOutage } });
    clock.advance(1_000);

    await expect(cache.get('k')).rejects.toBe(denied);
  });

  test('as a duration alone leaves the condition of the cache as it is', async () => {
    const { cache, clock } = setupCache({
      staleWhileRevalidate: 0,
      staleIfError: { for: '1s', when: isOutage },
      upstream: deny,
    });
    await cache.set('k', 'secret', { staleIfError: '1h' });
    clock.advance(1_000);

    await expect(cache.get('k')).rejects.toBe(denied);
  });
});

describe('staleIfError from the load', () => {
  const withRule = () => loaded('secret', { staleIfError: { for: '1h', when: isOutage } });

  test.each(['a fresh value', 'an expired one', 'a cloned one'] as const)('counts for %s', async (which) => {
    const { cache, clock, upstream } = setupCache({
      staleWhileRevalidate: 0,
      isolate: which === 'a cloned one' ? 'clone' : 'none',
      errorBackoff: { initial: 0, max: 0 },
    });
    await cache.getOrLoad('k', withRule);
    if (which === 'an expired one') await cache.expire('k');
    clock.advance(1_000);

    const covered = cache.get('k');
    upstream.calls.at(-1)!.reject(broken);
    expect(await covered).toBe('secret');
    const refused = cache.get('k');
    upstream.calls.at(-1)!.reject(denied);
    await expect(refused).rejects.toBe(denied);
  });

  test('is not lost in storage: what comes back from there covers nothing, where the condition can’t be asked', async () => {
    const storage = mapStorage();
    const { cache, clock } = setupCache({ storage, staleWhileRevalidate: 0 });
    await cache.getOrLoad('k', withRule);
    await cache.idle();
    clock.advance(1_000);

    const restarted = setupCache({ storage, clock, upstream: deny });

    await expect(restarted.cache.get('k')).rejects.toBe(denied);
  });
});

describe('a failing load whose value was invalidated meanwhile', () => {
  test('by its own upstream, which was denied, does not fall back on it', async () => {
    const { cache, clock } = setupCache({
      staleIfError: '1h',
      staleWhileRevalidate: 0,
      upstream: async (key): Promise<string> => {
        await cache.invalidate(key);
        throw denied;
      },
    });
    await cache.set('k', 'secret');
    clock.advance(1_000);

    await expect(cache.get('k')).rejects.toBe(denied);
  });

  test('by a `set` falls back on what was set', async () => {
    const { cache, clock, upstream } = setupCache({ staleIfError: '1h', staleWhileRevalidate: 0 });
    await cache.set('k', 'old');
    clock.advance(1_000);

    const read = cache.get('k');
    await cache.set('k', 'new');
    upstream.calls[0]!.reject(broken);

    expect(await read).toBe('new');
  });

  test('by `expire` still has its fallback', async () => {
    const { cache, clock, upstream } = setupCache({ staleIfError: '1h', staleWhileRevalidate: 0 });
    await cache.set('k', 'old');
    clock.advance(1_000);

    const read = cache.get('k');
    await cache.expire('k');
    upstream.calls[0]!.reject(broken);

    expect(await read).toBe('old');
  });
});

describe('a condition that makes no sense', () => {
  test.each([
    [{ when: () => true }, 'Expected `staleIfError.for` to be a duration'],
    [{ for: '1h', when: 403 }, 'Expected `staleIfError.when` to be a function'],
    [{ for: '1h', unless: () => true }, 'unless'],
    [{ for: 'ever' }, 'Expected `staleIfError.for` to be a duration'],
    [null, 'Expected `staleIfError` to be a duration'],
    [() => true, 'Expected `staleIfError` to be a duration'],
  ])('is refused at once: %j', async (staleIfError, message) => {
    const given = { staleIfError: staleIfError as never };
    const { cache } = setupCache();

    expect(() => new TieredCache({ ttl: 1, ...given })).toThrow(message);
    expect(() => loaded('v', given)).toThrow(message);
    expect(() => cache.wrap(async (id: string) => id, { name: 'f', ...given })).toThrow(message);
    await expect(cache.set('k', 'v', given)).rejects.toThrow(message);
    await expect(cache.getOrLoad('k', () => 'v', given)).rejects.toThrow(message);
  });
});
