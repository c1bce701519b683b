import { describe, expect, test } from 'vitest';

import { mapStorage } from '../../src/index.js';
import { scriptedTier } from '../support/scripted-tier.ts';
import { settle, setupCache } from '../support/setup-cache.ts';

describe('a rush on one key', () => {
  test('goes on from memory once the value is there, while the flight still waits for storage', async () => {
    const scripted = scriptedTier();
    const { cache, upstream } = setupCache({ storage: scripted.tier, writeBack: 'await' });
    const rush = [cache.get('k'), cache.get('k')];
    await settle();
    scripted.next('get', 'k').pass();
    await settle();
    upstream.calls[0]!.resolve('value');
    await settle();

    const answer = await Promise.race([cache.get('k'), settle().then(() => 'waits for storage')]);
    scripted.next('set', 'k').pass();

    expect(answer).toBe('value');
    expect(await Promise.all(rush)).toEqual(['value', 'value']);
  });

  test('goes on from memory once a read without a load has found the value in storage', async () => {
    const storage = mapStorage();
    const { cache, clock, upstream } = setupCache({ storage });
    const other = setupCache({ storage, clock });
    const rush = [cache.get('k'), cache.get('k')];
    await settle();
    await other.cache.set('k', 'stored');
    expect(await cache.getIfCached('k')).toBe('stored');

    const answer = await Promise.race([cache.get('k'), settle().then(() => 'waits for the load')]);
    upstream.calls[0]!.resolve('loaded');

    expect(answer).toBe('stored');
    expect(await Promise.all(rush)).toEqual(['loaded', 'loaded']);
  });
});
