import { expect, test } from 'vitest';

import { mapStorage, TieredCache } from '../../src/index.js';
import { explain } from '../../src/observe/index.js';
import { manualClock } from '../../src/testing/index.js';
import { fc, runs } from '../support/property.js';
import { settle } from '../support/setup-cache.js';
import { wire } from '../support/wire.js';

type Mode = 'answers' | 'fails' | 'forbids' | 'hangs';

type Step =
  | { readonly do: 'read' | 'readThere' | 'refresh' | 'set' | 'setThere'; readonly mode: Mode }
  | {
      readonly do: 'invalidate' | 'expire' | 'tag' | 'expireTag' | 'clear' | 'invalidateThere' | 'expireThere' | 'land';
    }
  | { readonly do: 'advance'; readonly ms: number };

const mode = fc.constantFrom<Mode>('answers', 'answers', 'fails', 'forbids', 'hangs');
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constantFrom('read', 'read', 'readThere', 'refresh', 'set', 'setThere'), mode }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom(
        ...(['invalidate', 'expire', 'tag', 'expireTag', 'clear', 'invalidateThere', 'expireThere', 'land'] as const),
      ),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.constantFrom(1, 90, 999, 1_000, 2_500, 6_000) }),
  },
);

/** Two caches over one storage and one channel, and an upstream whose hanging calls land when the test says so. */
function setup() {
  const clock = manualClock({ random: () => 0.999 });
  const channel = wire();
  const storage = mapStorage();
  const world = { mode: 'answers' as Mode, calls: 0 };
  const hanging: (() => void)[] = [];
  const upstream = (): Promise<string> => {
    world.calls += 1;
    if (world.mode === 'fails') return Promise.reject(new Error('down'));
    if (world.mode === 'forbids') return Promise.reject(new RangeError('forbidden'));
    if (world.mode === 'answers') return Promise.resolve('loaded');
    return new Promise((resolve) => hanging.push(() => resolve('late')));
  };
  const start = () =>
    new TieredCache<string>({
      ...{ clock, storage, upstream, ttl: 1_000, staleWhileRevalidate: 2_000, errorTtl: 700, tags: ['t'] },
      staleIfError: { for: 5_000, when: (error) => !(error instanceof RangeError) },
      backplane: channel.plug(),
    });
  const land = (): void => {
    for (const end of hanging.splice(0)) end();
  };
  return { clock, world, land, here: start(), there: start() };
}

type World = ReturnType<typeof setup>;

function perform({ clock, world, land, here, there }: World, next: Step): void {
  if ('mode' in next) world.mode = next.mode;
  const done = (work: Promise<unknown>): void => void work.catch(() => {});
  switch (next.do) {
    case 'read':
      return done(here.get('k'));
    case 'readThere':
      return done(there.get('k'));
    case 'refresh':
      return done(here.refresh('k'));
    case 'set':
      return done(here.set('k', 'set'));
    case 'setThere':
      return done(there.set('k', 'set'));
    case 'invalidate':
      return done(here.invalidate('k'));
    case 'expire':
      return done(here.expire('k'));
    case 'tag':
      return done(here.invalidateTags('t'));
    case 'expireTag':
      return done(here.invalidateTags('t', { mode: 'expire' }));
    case 'clear':
      return done(here.clear());
    case 'invalidateThere':
      return done(there.invalidate('k'));
    case 'expireThere':
      return done(there.expire('k'));
    case 'land':
      return land();
    case 'advance':
      return clock.advance(next.ms);
  }
}

/** Compares what `explain` says with what the next read does. Hanging loads land meanwhile. */
async function check({ here, land, world }: World): Promise<void> {
  const told = await explain(here, 'k');
  world.mode = 'answers';
  const before = world.calls;
  const reading = here.lookup('k').then(
    (found) => ({ status: found.status, tier: found.tier }),
    (error: Error) => ({ status: 'failed', tier: error.message }),
  );
  await settle();
  const calls = world.calls - before;
  land();
  const found = await reading;

  switch (told.verdict) {
    case 'failed':
      expect(found.status).toBe('failed');
      return expect(calls).toBe(0);
    case 'wait':
      return expect(calls).toBe(0);
    case 'miss':
      expect(found).toMatchObject({ status: 'miss', tier: 'upstream' });
      return expect(calls).toBe(1);
    case 'hit':
    case 'stale':
    case 'fallback':
      return expect(found).toEqual({ status: told.verdict, tier: told.answeredBy });
  }
}

// Two to four states are checked per run: more than 10,000 in `npm run test:all`.
test('a get does what explain says it would do, in any state', { timeout: 1_200_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const world = setup();
      for (const next of steps) {
        if (next.do === 'read' && next.mode === 'answers') await check(world);
        else perform(world, next);
        await settle();
      }
      await check(world);
      await settle();
      world.land();
      await Promise.all([world.here.close(), world.there.close()]);
    }),
    { numRuns: runs(1_700) },
  );
});
