import { describe, expect, test } from 'vitest';

import { newProfile, openSandbox, openTab } from '../../browser/support/tabs.js';

describe('a full localStorage', () => {
  test('loses what is outlived soonest to what is new, and nothing else', async () => {
    const tab = await openTab();

    const left = await tab.evaluate(() => {
      const { sampleEntry, webStorageStorage } = window.soloflight;
      const tier = webStorageStorage();
      const hour = Date.now() + 3_600_000;
      localStorage.setItem('theirs', 'x'.repeat(1_000_000));
      // Keys that begin with `@` and have no `/` are markers.
      void tier.set('@1:a#tag', sampleEntry(''), hour - 1_000);
      for (let at = 0; at < 12; at += 1) void tier.set(`old-${at}`, sampleEntry('x'.repeat(300_000)), hour + at);
      void tier.set('new', sampleEntry('y'.repeat(700_000)), hour - 500);
      const there = (key: string): boolean => tier.get(key) !== undefined;
      return {
        marker: there('@1:a#tag'),
        theirs: localStorage.getItem('theirs')?.length,
        old: Array.from({ length: 12 }, (_, at) => there(`old-${at}`)),
        new: there('new'),
      };
    });

    expect(left).toMatchObject({ marker: true, theirs: 1_000_000, new: true });
    const gone = left.old.lastIndexOf(false) + 1;
    expect([left.old.slice(0, gone).includes(true), gone > 0, gone < 6]).toEqual([false, true, true]);
  });

  test('refuses what would not fit if all else went, keeps all else, and what it held before', async () => {
    const tab = await openTab();

    const left = await tab.evaluate(async () => {
      const { codeOf, sampleEntry, webStorageStorage } = window.soloflight;
      const tier = webStorageStorage();
      void tier.set('k', sampleEntry('before'), Infinity);
      void tier.set('other', sampleEntry('other'), Infinity);
      const code = await codeOf(() => tier.set('k', sampleEntry('x'.repeat(6_000_000)), Infinity));
      return [code, ...(await tier.getMany!(['k', 'other'])).map((entry) => entry?.value)];
    });

    expect(left).toEqual(['SOLOFLIGHT_STORAGE_FULL', 'before', 'other']);
  });

  test('is a missing tier to a cache', async () => {
    const tab = await openTab();

    const outcome = await tab.evaluate(async () => {
      const { TieredCache, webStorageStorage } = window.soloflight;
      for (let size = 4_000_000; size >= 1; size = Math.floor(size / 2))
        while (fits(`theirs-${localStorage.length}`, size));
      const cache = new TieredCache({ ttl: '1m', storage: webStorageStorage(), upstream: (key) => `loaded ${key}` });
      const codes: unknown[] = [];
      cache.on('tier-error', ({ error }) => codes.push((error as { code?: string }).code));
      const value = await cache.get('k');
      await cache.idle();
      return { value, codes, refused: !fits('k', 1) };

      function fits(name: string, size: number): boolean {
        try {
          localStorage.setItem(name, 'x'.repeat(size));
          return true;
        } catch {
          return false;
        }
      }
    });

    expect(outcome.refused).toBe(true);
    expect(outcome.value).toBe('loaded k');
    expect(outcome.codes[0]).toBe('SOLOFLIGHT_STORAGE_FULL');
  });
});

describe('where site data is blocked', () => {
  test.each(['local', 'session'] as const)(
    '%s storage is constructed, and says why it can not be used',
    async (area) => {
      const frame = await openSandbox(await openTab());

      const outcome = await frame.evaluate(async (area) => {
        const { codeOf, sampleEntry, TieredCache, webStorageStorage } = window.soloflight;
        const tier = webStorageStorage({ area });
        const cache = new TieredCache({ ttl: '1m', memory: false, storage: tier, upstream: (key) => `loaded ${key}` });
        return [
          await codeOf(() => tier.get('k')),
          await codeOf(() => tier.set('k', sampleEntry(1), Infinity)),
          await cache.get('k'),
        ];
      }, area);

      expect(outcome).toEqual(['SOLOFLIGHT_STORAGE_UNAVAILABLE', 'SOLOFLIGHT_STORAGE_UNAVAILABLE', 'loaded k']);
    },
  );
});

describe('what others wrote under our names', () => {
  test('is a miss that is left alone, by reads and by sweeps, until it is replaced', async () => {
    const tab = await openTab();

    const outcome = await tab.evaluate(async () => {
      const { codeOf, sampleEntry, webStorageStorage } = window.soloflight;
      const tier = webStorageStorage();
      void tier.set('whole', sampleEntry('whole'), Infinity);
      const row = localStorage.getItem('soloflight:whole')!;
      const broken = {
        garbage: 'hello',
        empty: '',
        truncated: row.slice(0, -3),
        beheaded: row.slice(20),
        version: row.replace('soloflight/1', 'soloflight/9'),
        instants: row.replace(/^\S+ /, 'NaN '),
        proto: 'Infinity 0 soloflight/1 {"__proto__":1}\n',
      };
      for (const [key, text] of Object.entries(broken)) localStorage.setItem(`soloflight:${key}`, text);
      const keys = Object.keys(broken);
      const codes = await Promise.all(keys.map((key) => codeOf(() => tier.get(key))));
      const many = await tier.getMany!([...keys, 'whole']);
      await tier.sweep!(Number.MAX_VALUE, 100);
      const kept = keys.every((key) => localStorage.getItem(`soloflight:${key}`) === broken[key as 'garbage']);
      const replaced = await tier.setIfNewer!('garbage', sampleEntry('now'), Infinity);
      return { codes, found: many.map((entry) => entry?.value), kept, replaced };
    });

    expect(new Set(outcome.codes)).toEqual(new Set(['SOLOFLIGHT_UNDECODABLE']));
    expect(outcome.found.filter((value) => value !== undefined)).toEqual(['whole']);
    expect([outcome.kept, outcome.replaced]).toEqual([true, true]);
  });
});

describe('two caches and an application in one localStorage', () => {
  test('keep their keys apart, and clear only their own', async () => {
    const tab = await openTab();

    const left = await tab.evaluate(() => {
      const { sampleEntry, webStorageStorage } = window.soloflight;
      localStorage.setItem('soloflight', 'theirs');
      const [a, b] = [webStorageStorage({ prefix: 'a' }), webStorageStorage({ prefix: 'b' })];
      for (const [value, tier] of [a, b].entries()) void tier.set(':k%', sampleEntry(value), Infinity);
      void a.clear!();
      return [a.get(':k%'), (b.get(':k%') as { value: unknown }).value, localStorage.getItem('soloflight')];
    });

    expect(left).toEqual([undefined, 1, 'theirs']);
  });
});

describe('two tabs', () => {
  test('share localStorage, and a cache in one answers from what the other loaded', async () => {
    const profile = await newProfile();
    const [first, second] = [await openTab(profile), await openTab(profile)];
    const get = async (name: string): Promise<string> => {
      const { TieredCache, webStorageStorage } = window.soloflight;
      const cache = new TieredCache({ ttl: '1m', storage: webStorageStorage(), upstream: () => `loaded by ${name}` });
      const value = await cache.get('k');
      await cache.idle();
      return value;
    };

    await first.evaluate(get, 'the first');
    // The browser tells its processes of a write when it gets round to it.
    await second.waitForFunction(() => localStorage.length > 0);

    expect(await second.evaluate(get, 'the second')).toBe('loaded by the first');
  });
});

describe('a reload', () => {
  test.each(['local', 'session'] as const)('leaves %s storage as it was', async (area) => {
    const tab = await openTab();
    await tab.evaluate((area) => {
      const { sampleEntry, webStorageStorage } = window.soloflight;
      for (const key of ['\ud800', '\0', '%0000', ''])
        void webStorageStorage({ area }).set(key, sampleEntry(key), Infinity);
    }, area);

    await tab.reload();

    const all = await tab.evaluate((area) => {
      const tier = window.soloflight.webStorageStorage({ area });
      return ['\ud800', '\0', '%0000', ''].map((key) => (tier.get(key) as { value: unknown }).value === key);
    }, area);
    expect(all).toEqual([true, true, true, true]);
  });
});
