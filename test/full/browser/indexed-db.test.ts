import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';

import { newProfile, openSandbox, openTab, origin } from '../../browser/support/tabs.js';

describe('a cache over IndexedDB', () => {
  test('answers after a reload with what was loaded before, whatever can be cloned, and loads nothing', async () => {
    const tab = await openTab();
    const read = async (): Promise<unknown> => {
      const { TieredCache, indexedDbStorage } = window.soloflight;
      let loads = 0;
      const upstream = (): unknown => {
        loads += 1;
        const cycle = { self: undefined as unknown };
        cycle.self = cycle;
        const blob = new Blob(['blob']);
        return {
          map: new Map([[new Date(5), new Set([2n])]]),
          bytes: new Uint8Array([0, 255]),
          blob,
          cycle,
        };
      };
      const cache = new TieredCache<unknown>({ ttl: '1h', storage: indexedDbStorage(), upstream });
      const value = (await cache.get('k')) as ReturnType<typeof Object>;
      await cache.close();
      const [[date, set]] = value.map as Map<Date, Set<bigint>> as unknown as [[Date, Set<bigint>]];
      return {
        loads,
        date: date.getTime(),
        set: [...set].map(String),
        bytes: [...value.bytes],
        blob: await value.blob.text(),
        cycle: value.cycle.self === value.cycle,
      };
    };
    const value = { date: 5, set: ['2'], bytes: [0, 255], blob: 'blob', cycle: true };
    expect(await tab.evaluate(read)).toEqual({ ...value, loads: 1 });

    await tab.reload();

    expect(await tab.evaluate(read)).toEqual({ ...value, loads: 0 });
  });

  test('serves what can not be cloned from memory, and says that it was not stored', async () => {
    const tab = await openTab();

    const outcome = await tab.evaluate(async () => {
      const { TieredCache, indexedDbStorage } = window.soloflight;
      const storage = indexedDbStorage();
      const cache = new TieredCache({ ttl: '1h', storage, upstream: () => ({ run: () => 'ran' }) });
      const names: unknown[] = [];
      cache.on('tier-error', ({ error }) => names.push((error as Error).name));
      const ran = (await cache.get('k')).run();
      await cache.idle();
      return { ran, names, stored: await storage.get('k') };
    });

    expect(outcome).toEqual({ ran: 'ran', names: ['UnencodableError'], stored: undefined });
  });
});

describe('a transaction', () => {
  test('that fails in its middle stores nothing', async () => {
    const tab = await openTab();

    const outcome = await tab.evaluate(async () => {
      const { codeOf, indexedDbStorage, sampleEntry } = window.soloflight;
      const tier = indexedDbStorage();
      const write = (key: string, value: unknown) => ({ key, entry: sampleEntry(value), keepUntil: Infinity });
      const failed = await codeOf(() => tier.setMany!([write('a', 1), write('b', () => {}), write('c', 3)]));
      await tier.set('newer', sampleEntry('newer'), Infinity);
      const alsoFailed = await codeOf(() =>
        tier.setIfNewer!(
          'newer',
          sampleEntry(() => {}, -10),
          Infinity,
        ),
      );
      return [failed, alsoFailed, (await tier.getMany!(['a', 'b', 'c', 'newer'])).map((entry) => entry?.value)];
    });

    expect(outcome).toEqual([
      'SOLOFLIGHT_UNENCODABLE',
      'SOLOFLIGHT_UNENCODABLE',
      [undefined, undefined, undefined, 'newer'],
    ]);
  });

  test('of one tab does not mix with those of another: of many setIfNewer the newest wins', async () => {
    const profile = await newProfile();
    const tabs = [await openTab(profile), await openTab(profile)];

    await Promise.all(
      tabs.map((tab, offset) =>
        tab.evaluate(async (offset) => {
          const { indexedDbStorage, sampleEntry } = window.soloflight;
          const tier = indexedDbStorage();
          const ages = [14, 3, 9, 0, 11, 6, 1, 12, 4, 8].map((age) => age * 1_000 + offset * 500);
          const writes = ages.map((age) => ({ ...sampleEntry(`age ${age}`), startedAt: 1e12 - age }));
          await Promise.all(writes.map((entry) => tier.setIfNewer!('k', entry, Infinity)));
        }, offset),
      ),
    );

    const left = await tabs[1]!.evaluate(async () => (await window.soloflight.indexedDbStorage().get('k'))?.value);
    expect(left).toBe('age 0');
  });
});

describe('a database that another tab changes', () => {
  test('is let go for an upgrade at once, and used on in its newer version', async () => {
    const profile = await newProfile();
    const [ours, theirs] = [await openTab(profile), await openTab(profile)];
    await ours.evaluate(async () => {
      const { indexedDbStorage, sampleEntry } = window.soloflight;
      const tier = indexedDbStorage();
      await tier.set('k', sampleEntry('before'), Infinity);
      Object.assign(window, { tier });
    });

    const upgrade = await theirs.evaluate(
      () =>
        new Promise((resolve) => {
          const opening = indexedDB.open('soloflight', 7);
          opening.addEventListener('blocked', () => resolve('blocked'));
          opening.addEventListener('success', () => {
            opening.result.addEventListener('versionchange', () => opening.result.close());
            resolve('upgraded');
          });
        }),
    );
    const after = await ours.evaluate(async () => {
      const { indexedDbStorage, sampleEntry } = window.soloflight;
      const { tier } = window as unknown as { tier: ReturnType<typeof indexedDbStorage> };
      const before = (await tier.get('k'))?.value;
      await tier.set('k', sampleEntry('after'), Infinity);
      return [before, (await indexedDbStorage().get('k'))?.value];
    });

    expect(upgrade).toBe('upgraded');
    expect(after).toEqual(['before', 'after']);
  });

  test('is let go when it is deleted, and made again', async () => {
    const tab = await openTab();

    const outcome = await tab.evaluate(async () => {
      const { indexedDbStorage, sampleEntry } = window.soloflight;
      const tier = indexedDbStorage();
      await tier.set('k', sampleEntry('before'), Infinity);
      const deleted = await new Promise((resolve) => {
        const deleting = indexedDB.deleteDatabase('soloflight');
        deleting.addEventListener('blocked', () => resolve('blocked'));
        deleting.addEventListener('success', () => resolve('deleted'));
      });
      const gone = await tier.get('k');
      await tier.set('k', sampleEntry('after'), Infinity);
      return [deleted, gone, (await tier.get('k'))?.value];
    });

    expect(outcome).toEqual(['deleted', undefined, 'after']);
  });

  test('is reported as blocked while somebody holds on to it, and used once they let go', async () => {
    const tab = await openTab();

    const outcome = await tab.evaluate(async () => {
      const { codeOf, indexedDbStorage, sampleEntry } = window.soloflight;
      const held = await new Promise<IDBDatabase>((resolve) => {
        const opening = indexedDB.open('soloflight', 1);
        opening.addEventListener('success', () => resolve(opening.result));
      });
      await new Promise((resolve) => indexedDB.deleteDatabase('soloflight').addEventListener('blocked', resolve));
      const tier = indexedDbStorage({ openTimeout: 50 });
      const codes = [await codeOf(() => tier.get('k')), await codeOf(() => tier.set('k', sampleEntry(1), Infinity))];
      held.close();
      const patient = indexedDbStorage({ openTimeout: '1m' });
      await patient.set('k', sampleEntry('stored'), Infinity);
      return [...codes, (await tier.get('k'))?.value];
    });

    expect(outcome).toEqual(['SOLOFLIGHT_DATABASE_BLOCKED', 'SOLOFLIGHT_DATABASE_BLOCKED', 'stored']);
  });

  test('goes on after the browser took it away', async () => {
    const tab = await openTab();
    await tab.evaluate(async () => {
      const { indexedDbStorage, sampleEntry } = window.soloflight;
      const tier = indexedDbStorage();
      await tier.set('k', sampleEntry('before'), Infinity);
      Object.assign(window, { tier });
    });

    const browser = await tab.context().newCDPSession(tab);
    await browser.send('Storage.clearDataForOrigin', { origin, storageTypes: 'indexeddb' });

    const after = await tab.evaluate(async () => {
      const { indexedDbStorage, sampleEntry } = window.soloflight;
      const { tier } = window as unknown as { tier: ReturnType<typeof indexedDbStorage> };
      const gone = await tier.get('k');
      await tier.set('k', sampleEntry('after'), Infinity);
      return [gone, (await tier.get('k'))?.value];
    });
    expect(after).toEqual([undefined, 'after']);
  });
});

describe('a connection that the browser closes during a transaction', () => {
  /** Lets the next `times` transactions of a tab end as they do then, which nobody can bring about at the right moment. */
  const closeUnder = (tab: Page, times: number): Promise<void> =>
    tab.evaluate((times) => {
      let left = times;
      const begin = Reflect.get(IDBDatabase.prototype, 'transaction');
      IDBDatabase.prototype.transaction = function (...args) {
        const begun = begin.apply(this, args);
        if (left === 0) return begun;
        left -= 1;
        const error = new DOMException('The connection was closed.', 'AbortError');
        Object.defineProperty(begun, 'error', { value: error });
        const store = begun.objectStore.bind(begun);
        begun.objectStore = (name) => {
          queueMicrotask(() => begun.abort());
          return store(name);
        };
        return begun;
      };
    }, times);

  test('is opened again, and the transaction is made anew', async () => {
    const tab = await openTab();
    await closeUnder(tab, 1);
    const found = await tab.evaluate(async () => {
      const { indexedDbStorage, sampleEntry } = window.soloflight;
      const tier = indexedDbStorage();
      await tier.set('k', sampleEntry('value'), Infinity);
      return (await tier.get('k'))?.value;
    });

    expect(found).toBe('value');
  });

  test('fails the call where that happens again, and no later one', async () => {
    const tab = await openTab();
    await closeUnder(tab, 2);
    const story = await tab.evaluate(async () => {
      const { indexedDbStorage, sampleEntry } = window.soloflight;
      const tier = indexedDbStorage();
      const failure = await Promise.resolve(tier.set('k', sampleEntry('lost'), Infinity)).catch(String);
      const gone = await tier.get('k');
      await tier.set('k', sampleEntry('value'), Infinity);
      return [failure, gone, (await tier.get('k'))?.value];
    });

    expect(story).toEqual([expect.stringContaining('The browser closed the IndexedDB database'), undefined, 'value']);
  });
});

describe('versions', () => {
  test("refuse what one tab loaded before another tab's change, whichever", async () => {
    const profile = await newProfile();
    const [ours, theirs] = [await openTab(profile), await openTab(profile)];
    const changes = ['delete', 'deleteMany', 'set', 'clear'] as const;

    const outcomes: unknown[] = [];
    for (const change of changes) {
      const version = await ours.evaluate(async () => {
        const tier = window.soloflight.indexedDbStorage();
        Object.assign(window, { tier });
        return (await tier.version!('k', -Infinity)).version;
      });
      await theirs.evaluate(async (change) => {
        const { indexedDbStorage, sampleEntry } = window.soloflight;
        const tier = indexedDbStorage();
        if (change === 'set') await tier.set('k', sampleEntry('set', -10), Infinity);
        else if (change === 'deleteMany') await tier.deleteMany!(['other', 'k']);
        else if (change === 'clear') await tier.clear!();
        else await tier.delete('k');
      }, change);
      outcomes.push(
        await ours.evaluate(async (version) => {
          const { indexedDbStorage, sampleEntry } = window.soloflight;
          const { tier } = window as unknown as { tier: ReturnType<typeof indexedDbStorage> };
          const stored = await tier.setIfVersion!('k', sampleEntry('loaded'), Infinity, version, false);
          return [stored, (await tier.get('k'))?.value];
        }, version),
      );
    }

    expect(outcomes).toEqual([
      [false, undefined],
      [false, undefined],
      [false, 'set'],
      [false, undefined],
    ]);
  });

  test('begin in a database of 0.1.0 without a loss, also while another tab has it open', async () => {
    const tab = await openTab();

    const outcome = await tab.evaluate(async () => {
      const { indexedDbStorage, sampleEntry } = window.soloflight;
      const old = await new Promise<IDBDatabase>((resolve) => {
        const opening = indexedDB.open('soloflight', 1);
        opening.addEventListener('upgradeneeded', () => {
          const store = opening.result.createObjectStore('entries', { keyPath: 'key' });
          store.createIndex('keepUntil', 'keepUntil');
          store.put({ key: 'k', format: 1, keepUntil: Infinity, entry: sampleEntry('old') });
        });
        opening.addEventListener('success', () => resolve(opening.result));
      });
      const tier = indexedDbStorage();
      const { version, entry } = await tier.version!('k', -Infinity);
      await tier.delete('k');
      const stored = await tier.setIfVersion!('k', sampleEntry('loaded'), Infinity, version, false);
      // Nothing made the other connection close.
      const left = await new Promise((resolve) => {
        const counting = old.transaction('entries').objectStore('entries').index('keepUntil').count();
        counting.addEventListener('success', () => resolve(counting.result));
      });
      return [entry?.value, stored, await tier.get('k'), left];
    });

    expect(outcome).toEqual(['old', false, undefined, 0]);
  });

  test('never come back when the browser has cleared the data of the site', async () => {
    const tab = await openTab();

    const versions = await tab.evaluate(async () => {
      const seen: string[] = [];
      const tier = window.soloflight.indexedDbStorage();
      for (let round = 0; round < 3; round += 1) {
        seen.push((await tier.version!('k', -Infinity)).version);
        await new Promise((resolve) => indexedDB.deleteDatabase('soloflight').addEventListener('success', resolve));
      }
      return seen;
    });

    expect(new Set(versions).size).toBe(3);
  });
});

describe('a database that is not as it should be', () => {
  test('of somebody else is refused, and not held open', async () => {
    const tab = await openTab();

    const outcome = await tab.evaluate(async () => {
      const { codeOf, indexedDbStorage } = window.soloflight;
      const open = (version: number): Promise<string> =>
        new Promise((resolve) => {
          const opening = indexedDB.open('theirs', version);
          opening.addEventListener('blocked', () => resolve('blocked'));
          opening.addEventListener('success', () => {
            opening.result.close();
            resolve('opened');
          });
        });
      await open(3);
      const code = await codeOf(() => indexedDbStorage({ database: 'theirs' }).get('k'));
      return [code, await open(4)];
    });

    expect(outcome).toEqual(['SOLOFLIGHT_FOREIGN_DATABASE', 'opened']);
  });

  test('holding other records has misses, which are left alone until they are replaced', async () => {
    const tab = await openTab();

    const outcome = await tab.evaluate(async () => {
      const { codeOf, indexedDbStorage, sampleEntry } = window.soloflight;
      const tier = indexedDbStorage();
      await tier.set('whole', sampleEntry('whole'), Infinity);
      const database = await new Promise<IDBDatabase>((resolve) => {
        const opening = indexedDB.open('soloflight');
        opening.addEventListener('success', () => resolve(opening.result));
      });
      const store = database.transaction('entries', 'readwrite').objectStore('entries');
      store.put({ key: 'version', format: 2, keepUntil: Infinity, entry: sampleEntry('newer format') });
      store.put({ key: 'garbage', format: 1, keepUntil: Infinity, entry: { value: 'no instants' } });
      store.put({ key: 'bare' });
      const keys = ['version', 'garbage', 'bare'];
      const codes = await Promise.all(keys.map((key) => codeOf(() => tier.get(key))));
      const many = await tier.getMany!([...keys, 'whole']);
      const swept = await tier.sweep!(Number.MAX_VALUE, 100);
      const replaced = await tier.setIfNewer!('garbage', sampleEntry('now'), Infinity);
      return { codes, many: many.map((entry) => entry?.value), swept, replaced };
    });

    const codes = Array.from({ length: 3 }, () => 'SOLOFLIGHT_UNDECODABLE');
    expect(outcome).toEqual({ codes, many: [undefined, undefined, undefined, 'whole'], swept: 0, replaced: true });
  });

  test('and full refuses a write as a whole, and takes it when there is room', async () => {
    const tab = await openTab();
    const browser = await tab.context().newCDPSession(tab);
    const write = async (): Promise<unknown> => {
      const { codeOf, indexedDbStorage, sampleEntry } = window.soloflight;
      const tier = indexedDbStorage();
      const keys = ['a', 'b', 'c'];
      // Noise, which is not compressed away.
      const noise = (): Uint8Array<ArrayBuffer> => crypto.getRandomValues(new Uint8Array(60_000));
      const writes = keys.map((key) => ({ key, entry: sampleEntry([noise(), noise()]), keepUntil: Infinity }));
      const code = await codeOf(() => tier.setMany!(writes));
      return [code, (await tier.getMany!(keys)).map((entry) => entry !== undefined)];
    };

    await browser.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 100_000 });
    const refused = await tab.evaluate(write);
    await browser.send('Storage.overrideQuotaForOrigin', { origin });

    expect(refused).toEqual(['SOLOFLIGHT_STORAGE_FULL', [false, false, false]]);
    expect(await tab.evaluate(write)).toEqual([undefined, [true, true, true]]);
  });

  test('and blocked with all site data says so', async () => {
    const frame = await openSandbox(await openTab());

    const outcome = await frame.evaluate(async () => {
      const { codeOf, indexedDbStorage, TieredCache } = window.soloflight;
      const storage = indexedDbStorage();
      const cache = new TieredCache({ ttl: '1m', storage, upstream: (key) => `loaded ${key}` });
      return [await codeOf(() => storage.get('k')), await cache.get('k')];
    });

    expect(outcome).toEqual(['SOLOFLIGHT_STORAGE_UNAVAILABLE', 'loaded k']);
  });
});

describe('a browser that fails', () => {
  test.each(['InvalidStateError', 'UnknownError', 'AbortError', 'SecurityError'])(
    'with %s when it opens the database has a code for that',
    async (name) => {
      const tab = await openTab();

      const codes = await tab.evaluate(async (name) => {
        const { codeOf, indexedDbQueue, indexedDbStorage } = window.soloflight;
        IDBFactory.prototype.open = () => {
          const request = new EventTarget();
          Object.assign(request, { error: new DOMException('Internal error', name) });
          queueMicrotask(() => request.dispatchEvent(new Event('error')));
          return request as IDBOpenDBRequest;
        };
        return [await codeOf(() => indexedDbStorage().get('k')), await codeOf(() => indexedDbQueue().load())];
      }, name);

      expect(codes).toEqual(['SOLOFLIGHT_STORAGE_UNAVAILABLE', 'SOLOFLIGHT_STORAGE_UNAVAILABLE']);
    },
  );

  test.each(['InvalidStateError', 'UnknownError'])('with %s in a transaction has a code for that', async (name) => {
    const tab = await openTab();

    const code = await tab.evaluate(async (name) => {
      const { codeOf, indexedDbStorage } = window.soloflight;
      const tier = indexedDbStorage();
      await tier.get('k');
      IDBDatabase.prototype.transaction = () => {
        throw new DOMException('Internal error', name);
      };
      return codeOf(() => tier.get('k'));
    }, name);

    expect(code).toBe('SOLOFLIGHT_STORAGE_UNAVAILABLE');
  });

  test('so that the opening hangs costs one wait, not one per call, and the database is used once it opens', async () => {
    const tab = await openTab();

    const outcome = await tab.evaluate(async () => {
      const { codeOf, indexedDbStorage, manualClock } = window.soloflight;
      const clock = manualClock();
      const held = await new Promise<IDBDatabase>((resolve) => {
        const opening = indexedDB.open('soloflight', 1);
        opening.addEventListener('success', () => resolve(opening.result));
      });
      await new Promise((resolve) => indexedDB.deleteDatabase('soloflight').addEventListener('blocked', resolve));
      const tier = indexedDbStorage({ clock });
      const first = codeOf(() => tier.get('k'));
      await clock.advanceAsync(1_000);
      // The clock stands still: these fail at once.
      const later = [await codeOf(() => tier.get('k')), await codeOf(() => tier.delete('k'))];
      await clock.advanceAsync(4_000);
      held.close();
      const reopened = indexedDbStorage({ openTimeout: '1m' });
      await reopened.get('k');
      return [await first, ...later, await codeOf(() => tier.get('k'))];
    });

    const blocked = 'SOLOFLIGHT_DATABASE_BLOCKED';
    expect(outcome).toEqual([blocked, blocked, blocked, undefined]);
  });
});

describe('closing', () => {
  test('lets what is under way finish, refuses what comes later, and holds nothing open', async () => {
    const tab = await openTab();

    const outcome = await tab.evaluate(async () => {
      const { codeOf, indexedDbStorage, sampleEntry } = window.soloflight;
      const [tier, opening] = [indexedDbStorage(), indexedDbStorage()];
      await tier.get('k');
      const writing = tier.set('k', sampleEntry('written'), Infinity);
      const early = codeOf(() => opening.get('k'));
      await Promise.resolve();
      void tier.close!();
      void opening.close!();
      const written = await codeOf(() => writing);
      await early;
      const later = await codeOf(() => tier.get('k'));
      const deleted = await new Promise((resolve) => {
        const deleting = indexedDB.deleteDatabase('soloflight');
        deleting.addEventListener('blocked', () => resolve('blocked'));
        deleting.addEventListener('success', () => resolve('deleted'));
      });
      return { written, later, deleted };
    });

    expect(outcome).toEqual({ written: undefined, later: 'SOLOFLIGHT_DATABASE_CLOSED', deleted: 'deleted' });
  });
});
