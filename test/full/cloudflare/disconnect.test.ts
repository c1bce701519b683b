import { describe, expect, test } from 'vitest';

import { startObjects } from './start-objects.js';

describe.each(['2024-10-01', '2026-10-23'])('an object, by compatibility date %s', { timeout: 30_000 }, (date) => {
  test('answers those who wait for a load whose first client has vanished', async () => {
    const { calls, visit, get } = await startObjects({ compatibilityDate: date });
    const leader = await visit('key');
    await expect.poll(() => calls.length).toBe(1);
    const followers = Promise.all([get('key'), get('key'), get('key')]);

    leader.resetAndDestroy();
    // Until the platform has noticed.
    await new Promise((resolve) => setTimeout(resolve, 300));
    for (const answer of calls) answer('value');

    expect(await followers).toEqual(['value', 'value', 'value']);
    expect(await get('key')).toBe('value');
    expect(calls.length).toBe(1);
  });

  test('answers the next client after the only one has vanished', async () => {
    const { calls, visit, get } = await startObjects({ compatibilityDate: date });
    const only = await visit('key');
    await expect.poll(() => calls.length).toBe(1);

    only.resetAndDestroy();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const next = get('key');
    await new Promise((resolve) => setTimeout(resolve, 300));
    for (const answer of calls) answer('value');

    expect(await next).toBe('value');
    expect(calls.length).toBe(1);
  });
});
