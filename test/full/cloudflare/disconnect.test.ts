import { describe, expect, test } from 'vitest';

import { startObjects } from './start-objects.js';

describe.each(['2024-10-01', '2026-10-23'])('an object, by compatibility date %s', (date) => {
  test('answers those who wait for a load whose first client has vanished', async () => {
    const { calls, visit, leave, get, joined } = await startObjects({ compatibilityDate: date });
    const leader = await visit('key');
    await expect.poll(() => calls.length).toBe(1);
    const followers = Promise.all([get('key'), get('key'), get('key')]);
    await joined('key', 3);

    await leave(leader);
    for (const answer of calls) answer('value');

    expect(await followers).toEqual(['value', 'value', 'value']);
    expect(await get('key')).toBe('value');
    expect(calls.length).toBe(1);
  });

  test('answers the next client after the only one has vanished', async () => {
    const { calls, visit, leave, get, joined } = await startObjects({ compatibilityDate: date });
    const only = await visit('key');
    await expect.poll(() => calls.length).toBe(1);

    await leave(only);
    const next = get('key');
    await joined('key', 1);
    for (const answer of calls) answer('value');

    expect(await next).toBe('value');
    expect(calls.length).toBe(1);
  });
});
