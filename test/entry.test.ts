import { beforeEach, describe, expect, test, vi } from 'vitest';

import * as entries from '../src/entry.js';
import type { Entry, Windows } from '../src/entry.js';

const NOW = 1_700_000_000_000;
const windows: Windows = { ttl: 1_000, staleWhileRevalidate: 500, staleIfError: 2_000 };
const origin = { startedAt: NOW - 20, createdAt: NOW };

let { createEntry, expiredAt, freshness, HeldEntry, isEntry, isFromFuture, isStorable, plain } = entries;

/** Held entries count from the first of them: each test is the first. */
beforeEach(async () => {
  vi.resetModules();
  ({ createEntry, expiredAt, freshness, HeldEntry, isEntry, isFromFuture, isStorable, plain } =
    await import('../src/entry.js'));
});

function stored(parts: Partial<Entry> = {}): Entry {
  return {
    ...{
      value: 'v',
      startedAt: NOW - 20,
      createdAt: NOW,
      freshUntil: NOW + 1_000,
      staleUntil: NOW + 1_500,
      errorUntil: NOW + 3_000,
    },
    ...{ loadMs: 20, tags: ['t'], meta: { etag: 'e' } },
    ...parts,
  };
}

describe('a new entry', () => {
  test('counts its windows from when the load settled, and keeps when it started', () => {
    const entry = createEntry('v', windows, { ...origin, loadMs: 20, tags: ['t'], meta: { etag: 'e' } });

    expect(plain(entry)).toEqual({
      ...{
        value: 'v',
        startedAt: NOW - 20,
        createdAt: NOW,
        freshUntil: NOW + 1_000,
        staleUntil: NOW + 1_500,
        errorUntil: NOW + 3_000,
      },
      ...{ loadMs: 20, tags: ['t'], meta: { etag: 'e' } },
    });
  });

  test('lasts as a fallback for the longer of the two windows, never less than it is stale', () => {
    const entry = createEntry('v', { ttl: 1_000, staleWhileRevalidate: 2_000, staleIfError: 500 }, origin);

    expect([entry.staleUntil, entry.errorUntil]).toEqual([NOW + 3_000, NOW + 3_000]);
  });

  test('has no tags, no meta and took no time unless told', () => {
    expect(createEntry('v', windows, origin)).toMatchObject({ loadMs: 0, tags: [], meta: undefined });
  });

  test.each([[{ ttl: Infinity }], [{ staleWhileRevalidate: Infinity }], [{ staleIfError: Infinity }]])(
    'may last for ever (%o)',
    (infinite) => {
      const entry = createEntry('v', { ...windows, ...infinite }, origin);

      expect(entry.errorUntil).toBe(Infinity);
      expect(freshness(entry, Number.MAX_SAFE_INTEGER)).not.toBe('gone');
    },
  );

  test.each([null, NaN, 0, '', false, undefined])('%o is a value like any other', async (value) => {
    const entry = createEntry(value, windows, origin);

    expect(entry.value).toBe(value);
    expect(plain(entry).value).toBe(value);
    expect(await entry.answer).toBe(value);
  });
});

describe('freshness', () => {
  const at: [number, string][] = [
    ...([
      [-5_000, 'fresh'],
      [0, 'fresh'],
      [999, 'fresh'],
    ] as const),
    ...([
      [1_000, 'stale'],
      [1_499, 'stale'],
    ] as const),
    ...([
      [1_500, 'expired'],
      [2_999, 'expired'],
    ] as const),
    ...([
      [3_000, 'gone'],
      [1e15, 'gone'],
    ] as const),
  ] as [number, string][];

  test.each(at)('%i ms after it was created an entry of 1,000 + 500 (or 2,000 after errors) is %s', (age, state) => {
    expect(freshness(createEntry('v', windows, origin), NOW + age)).toBe(state);
  });

  test('is that of the instants alone, wherever the entry comes from', () => {
    const held = createEntry('v', windows, origin);

    for (const [age] of at) expect(freshness(plain(held), NOW + age)).toBe(freshness(held, NOW + age));
  });

  test('an entry without windows is never served', () => {
    const entry = createEntry('v', { ttl: 0, staleWhileRevalidate: 0, staleIfError: 0 }, origin);

    expect(freshness(entry, NOW)).toBe('gone');
  });

  test('an entry from further in the future than 5 s is a fallback at best', () => {
    const entry = stored({ createdAt: NOW + 5_001 });

    expect(freshness(stored({ createdAt: NOW + 5_000 }), NOW)).toBe('fresh');
    expect(freshness(entry, NOW)).toBe('expired');
    expect(freshness(entry, NOW + 1)).toBe('fresh');
    expect(freshness({ ...entry, errorUntil: NOW }, NOW)).toBe('gone');
    expect([isFromFuture(entry, NOW), isFromFuture(entry, NOW + 1)]).toEqual([true, false]);
  });
});

describe('an entry on its way through tiers', () => {
  test('keeps every instant, however often it is held and stored', () => {
    let entry = stored();

    for (let hop = 0; hop < 10; hop += 1) entry = plain(HeldEntry.from(entry));

    expect(entry).toEqual(stored());
  });

  test('is plain for storage: all parts are own, and it is no HeldEntry', () => {
    const given = plain(createEntry('v', windows, origin));

    expect(Object.getPrototypeOf(given)).toBe(Object.prototype);
    expect(JSON.parse(JSON.stringify(given))).toEqual({ ...given, meta: undefined });
  });

  test.each([NOW, 0, 1, -1_000, NOW + 0.25, 8_640_000_000_000_000])(
    'is held exactly, also when the first one held was created at %d',
    (first) => {
      void HeldEntry.from(stored({ createdAt: first }));

      expect(plain(HeldEntry.from(stored()))).toEqual(stored());
    },
  );

  test('keeps fractions of a millisecond that a clock may have', () => {
    const createdAt = NOW + 0.25;

    void HeldEntry.from(stored({ createdAt: NOW + 0.5 }));

    expect(plain(HeldEntry.from(stored({ createdAt })))).toEqual(stored({ createdAt }));
  });

  test('gives all hits one promise', async () => {
    const entry = createEntry('v', windows, origin);

    expect(entry.answer).toBe(entry.answer);
    expect(await entry.answer).toBe('v');
  });
});

describe('expiring an entry', () => {
  test('makes it stale from that instant on and leaves the rest alone', () => {
    const entry = createEntry('v', windows, origin);

    const expired = expiredAt(entry, NOW + 300);

    expect(expired).toEqual({ ...plain(entry), freshUntil: NOW + 300 });
    expect([freshness(expired, NOW + 299), freshness(expired, NOW + 300)]).toEqual(['fresh', 'stale']);
    expect(entry.freshUntil).toBe(NOW + 1_000);
  });

  test('never makes it fresh again', () => {
    expect(expiredAt(stored(), NOW + 9_000).freshUntil).toBe(NOW + 1_000);
  });
});

describe('storing is worth it', () => {
  test.each([
    [{ ttl: 0, staleWhileRevalidate: 0, staleIfError: 0 }, false],
    [{ ttl: 1, staleWhileRevalidate: 0, staleIfError: 0 }, true],
    [{ ttl: 0, staleWhileRevalidate: 1, staleIfError: 0 }, true],
    [{ ttl: 0, staleWhileRevalidate: 0, staleIfError: 1 }, true],
  ])('with %o: %s', (own, worth) => {
    expect(isStorable(createEntry('v', own, origin))).toBe(worth);
  });
});

describe('what a storage tier returned', () => {
  test.each([
    ['a plain entry', () => stored()],
    ['a held one', () => HeldEntry.from(stored())],
    ['an absent value', () => stored({ value: undefined, meta: undefined, tags: [] })],
    ['windows without end', () => stored({ freshUntil: Infinity, staleUntil: Infinity, errorUntil: Infinity })],
  ])('%s is an entry', (_, candidate) => {
    expect(isEntry(candidate())).toBe(true);
  });

  test.each([undefined, null, 0, 'text', [], {}, () => {}])('%o is none', (candidate) => {
    expect(isEntry(candidate)).toBe(false);
  });

  test.each(['startedAt', 'createdAt', 'freshUntil', 'staleUntil', 'errorUntil', 'loadMs'])(
    'an entry whose %s is missing or no number is none',
    (name) => {
      const { [name as 'loadMs']: _, ...without } = stored();

      expect(isEntry(without)).toBe(false);
      for (const garbage of [undefined, null, NaN, '1', new Date(NOW), {}, 1n])
        expect(isEntry({ ...stored(), [name]: garbage })).toBe(false);
    },
  );

  test.each(['startedAt', 'createdAt'])('an entry whose %s no date can hold is none', (name) => {
    for (const garbage of [Infinity, -Infinity, 1e300, -8_640_000_000_000_001])
      expect(isEntry({ ...stored(), [name]: garbage })).toBe(false);
    expect(isEntry({ ...stored(), [name]: 8_640_000_000_000_000 })).toBe(true);
  });

  test.each([undefined, null, 'text', {}, [1], ['a', undefined]])('an entry whose tags are %o is none', (tags) => {
    expect(isEntry({ ...stored(), tags })).toBe(false);
  });
});
