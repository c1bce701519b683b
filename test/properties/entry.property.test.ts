import { describe, expect, test } from 'vitest';

import { createEntry, expiredAt, freshness, HeldEntry, plain, type Entry } from '../../src/entry.js';
import { fc } from '../support/property.js';

const rank = { fresh: 0, stale: 1, expired: 2, gone: 3 };
const duration = fc.oneof(fc.integer({ min: 0, max: 10_000 }), fc.constantFrom(0, 1, Infinity));
const windows = fc.record({ ttl: duration, staleWhileRevalidate: duration, staleIfError: duration });
const now = fc.integer({ min: 0, max: 4_000_000_000_000 });
const ms = fc.integer({ min: 0, max: 50_000 });

describe('an entry', () => {
  test('never becomes fresher as time passes', () => {
    fc.assert(
      fc.property(windows, now, ms, ms, (own, createdAt, at, later) => {
        const entry = createEntry('v', own, { startedAt: createdAt, createdAt });
        const [before, after] = [freshness(entry, createdAt + at), freshness(entry, createdAt + at + later)];

        expect(rank[after]).toBeGreaterThanOrEqual(rank[before]);
      }),
    );
  });

  test('is in the state that its windows, laid end to end, say', () => {
    fc.assert(
      fc.property(windows, now, ms, (own, createdAt, age) => {
        const { ttl, staleWhileRevalidate, staleIfError } = own;
        const entry = createEntry('v', own, { startedAt: createdAt, createdAt });

        // The definition once more, in ages instead of instants.
        let state: string = 'gone';
        if (age < ttl) state = 'fresh';
        else if (age - ttl < staleWhileRevalidate) state = 'stale';
        else if (age - ttl < staleIfError) state = 'expired';

        expect(freshness(entry, createdAt + age)).toBe(state);
      }),
    );
  });

  test('has instants in order', () => {
    fc.assert(
      fc.property(windows, now, (own, createdAt) => {
        const { freshUntil, staleUntil, errorUntil } = createEntry('v', own, { startedAt: createdAt, createdAt });

        expect(createdAt <= freshUntil && freshUntil <= staleUntil && staleUntil <= errorUntil).toBe(true);
      }),
    );
  });

  test('lives as long in any tier: holding and storing it changes nothing', () => {
    const instant = fc.oneof(
      fc.integer({ min: -8_640_000_000_000_000, max: 8_640_000_000_000_000 }),
      fc.constant(Infinity),
    );
    const moment = fc.integer({ min: -8_640_000_000_000_000, max: 8_640_000_000_000_000 });
    const entries: fc.Arbitrary<Entry> = fc.record({
      ...{
        value: fc.anything(),
        startedAt: moment,
        createdAt: moment,
        freshUntil: instant,
        staleUntil: instant,
        errorUntil: instant,
      },
      ...{ loadMs: ms, tags: fc.array(fc.string()), meta: fc.jsonValue() },
    });
    fc.assert(
      fc.property(entries, now, (entry, at) => {
        const held = HeldEntry.from(entry);

        expect(plain(held)).toEqual(entry);
        expect(plain(HeldEntry.from(plain(held)))).toEqual(entry);
        expect(freshness(held, at)).toBe(freshness(entry, at));
      }),
    );
  });

  test('that is expired is never fresh from then on, and otherwise what it was', () => {
    fc.assert(
      fc.property(windows, now, ms, ms, (own, createdAt, at, age) => {
        const entry = createEntry('v', own, { startedAt: createdAt, createdAt });
        const expired = expiredAt(entry, createdAt + at);
        const before = freshness(entry, createdAt + age);
        const after = freshness(expired, createdAt + age);

        if (age < at || before !== 'fresh') expect(after).toBe(before);
        else expect(after).toBe('stale');
      }),
    );
  });
});
