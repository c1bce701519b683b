import { describe, expect, test } from 'vitest';

import { Singleflight, TieredCache } from '../../src/index.js';
import { savings } from '../../src/observe/index.js';
import { Batcher } from '../../src/writes/index.js';
import { settle, setupCache } from '../support/setup-cache.js';

describe('savings', () => {
  test('are the reads less the loads, and what those would have taken and cost', async () => {
    const { cache, clock, upstream } = setupCache();
    const waiting = [cache.get('k'), cache.get('k'), cache.get('k')];
    await settle();
    clock.advance(200);
    upstream.calls[0]!.resolve('v');
    await Promise.all(waiting);
    for (let read = 0; read < 7; read += 1) await cache.get('k');

    expect(savings(cache, { costPerLoad: 0.5 })).toEqual({
      ...{ before: 10, after: 1, saved: 9, share: 0.9, coalesced: 2 },
      ...{ upstreamMs: 1_800, waitingMs: 1_400, cost: 4.5 },
    });
  });

  test('are honest where reloads in the background cost more loads than there were reads', async () => {
    const { cache, clock, upstream } = setupCache();
    const first = cache.get('k');
    await settle();
    upstream.calls[0]!.resolve('v');
    await first;
    clock.advance(1_000);
    await cache.get('k');
    await settle();
    upstream.calls[1]!.resolve('v');
    await cache.idle();
    const refresh = cache.getOrLoad('k', upstream, { reload: true });
    await settle();
    upstream.calls[2]!.resolve('v');
    await refresh;

    expect(savings(cache)).toMatchObject({ before: 3, after: 3, saved: 0, share: 0, cost: undefined });
  });

  test('are nothing before the first read', () => {
    expect(savings(setupCache().cache, { costPerLoad: 1 })).toEqual({
      ...{
        before: 0,
        after: 0,
        saved: 0,
        share: 0,
        coalesced: 0,
        upstreamMs: undefined,
        waitingMs: undefined,
        cost: 0,
      },
    });
  });

  test('of a Singleflight are the calls that joined', async () => {
    const flights = new Singleflight();
    await Promise.all([1, 2, 3, 4].map(() => flights.execute('k', async () => 'v')));

    expect(savings(flights, { costPerLoad: 2 })).toEqual({
      ...{ before: 4, after: 1, saved: 3, share: 0.75, coalesced: 3, cost: 6 },
      ...{ upstreamMs: undefined, waitingMs: undefined },
    });
  });

  test.each([
    ['a source without loads', () => savings(new Batcher<number, number>({ handle: (items) => items }) as never)],
    ['nothing', () => savings(undefined as never)],
    ['a negative cost', () => savings(new TieredCache<string>({ ttl: 1 }), { costPerLoad: -1 })],
    ['no number', () => savings(new TieredCache<string>({ ttl: 1 }), { costPerLoad: NaN })],
    ['a misspelt option', () => savings(new TieredCache<string>({ ttl: 1 }), { costPerload: 1 } as never)],
  ])('refuse %s', (_, call) => {
    expect(call).toThrow(TypeError);
  });
});
