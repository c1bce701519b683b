import { describe, expect, test } from 'vitest';

import { defineBackplane, defineWrites, requestScope, TieredCache, writeThrough } from '../../src/index.js';
import { WriteBehind } from '../../src/writes/index.js';

const ok = { ttl: 1_000 };

describe('what brings the implementation of a port', () => {
  test.each([
    [
      { backplane: { name: 'mine', publish: () => {}, subscribe: () => () => {} } },
      'An adapter becomes one by `defineBackplane(adapter)`',
    ],
    [
      { writes: { through: () => {} } },
      'Expected `writes` to be a WriteBehind, sharedWrites, or `writeThrough((key, value) => …)`',
    ],
    [{ writes: () => {} }, '`writeThrough((key, value) => …)`'],
    [{ scope: 'request' }, "Expected `scope` to be 'shared' or requestScope(), got `'request'`"],
    [{ scope: {} }, "'shared' or requestScope()"],
  ])('is asked for where %o is passed', (options, message) => {
    const build = (): unknown => new TieredCache({ ...ok, ...options } as never);

    expect(build).toThrow(TypeError);
    expect(build).toThrow(message);
  });

  test.each([
    [() => writeThrough(undefined as never), 'Expected `write` to be a function'],
    [() => writeThrough({ through: () => {} } as never), 'Expected `write` to be a function'],
    [() => defineBackplane({ name: 'x', publish: () => {} } as never), '(missing: subscribe)'],
    [() => defineWrites({ put: () => {} } as never), '(missing: open, peek, delete, on)'],
    [() => requestScope({ waituntil: () => {} } as never), 'waituntil'],
    [() => requestScope({ waitUntil: 5 } as never), 'Expected `waitUntil` to be a function'],
  ])('refuses what makes no sense (%#)', (make, message) => {
    expect(make).toThrow(TypeError);
    expect(make).toThrow(message);
  });

  test('a `WriteBehind` does so by itself', async () => {
    const writes = new WriteBehind<string>({ sink: () => {} });
    const cache = new TieredCache<string>({ ...ok, writes, upstream: () => 'loaded' });

    await cache.set('k', 'v');

    expect(await cache.get('k')).toBe('v');
    await cache.close();
    await writes.close();
  });
});
