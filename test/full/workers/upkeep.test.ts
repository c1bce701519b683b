import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { describe, expect, test } from 'vitest';

import { durableCache } from '../../../src/cloudflare/index.js';
import { waitPatiently } from '../../support/patience.js';
import { script } from '../../workers/script.js';

waitPatiently();

const cache = durableCache(env.IDLE);

/** The rows of all tables of an object, by table. */
function rowsOf(name: string): Promise<Record<string, number>> {
  return runInDurableObject(env.IDLE.getByName(name), (_object, { storage: { sql } }) => {
    const tables = sql.exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'").toArray();
    const ours = tables.filter(({ name }) => name.startsWith('soloflight'));
    return Object.fromEntries(
      ours.map(({ name }) => [name, sql.exec<{ rows: number }>(`SELECT count(*) AS rows FROM ${name}`).one().rows]),
    );
  });
}

/** Lets the alarm of an object go off, if it has one. */
async function ring(name: string): Promise<boolean> {
  return runDurableObjectAlarm(env.IDLE.getByName(name));
}

describe('outlived entries', () => {
  test('are removed by an alarm, and then there is none any more', async () => {
    const one = durableCache(env.IDLE, { route: () => 'sweep' });
    for (const key of ['a', 'b', 'c']) await one.get(key);
    expect(await rowsOf('sweep')).toMatchObject({ soloflight: 3 });

    script.clock.advance(50_000);
    await one.set('c', 'kept');
    script.clock.advance(20_000);
    expect(await ring('sweep')).toBe(true);

    expect(await rowsOf('sweep')).toMatchObject({ soloflight: 1 });
  });
});

describe('an object that nobody asks any more', () => {
  test('is empty after idleTtl, with no alarm left', async () => {
    await cache.get('lonely');
    script.clock.advance(64_000);

    expect(await ring('lonely')).toBe(true);

    expect(await rowsOf('lonely')).toEqual({});
    expect(await ring('lonely')).toBe(false);
  });

  test('works again as a new one', async () => {
    await cache.get('again');
    script.clock.advance(64_000);
    await ring('again');

    expect(await cache.lookup('again')).toMatchObject({ status: 'miss', value: 'value of again' });
    expect(await rowsOf('again')).toMatchObject({ soloflight: 1 });
  });

  test('is kept as long as every request moves the time, also after an eviction', async () => {
    await cache.get('asked');
    for (let round = 0; round < 4; round += 1) {
      script.clock.advance(40_000);
      await cache.get('asked');
      await evictDurableObject(env.IDLE.getByName('asked'));
      await ring('asked');
      expect(await rowsOf('asked')).toMatchObject({ soloflight: 1 });
    }

    script.clock.advance(64_000);
    await ring('asked');

    expect(await rowsOf('asked')).toEqual({});
  });
});

describe('a new object with `idleTtl`', () => {
  const traces = (name: string) =>
    runInDurableObject(env.IDLE.getByName(name), async (_object, { storage }) => ({
      tables: storage.sql.exec("SELECT name FROM sqlite_master WHERE name LIKE 'soloflight%'").toArray(),
      alarm: await storage.getAlarm(),
    }));

  test.each<[string, (name: string) => Promise<unknown>]>([
    ['a load that failed', (name) => cache.get(name).catch(() => {})],
    ['a value that may not be stored', (name) => cache.get(name)],
    [
      'a refused write',
      (name) => env.IDLE.getByName(name).fetch(`http://object/?key=${name}`, { method: 'PUT', body: '1' }),
    ],
    ['a read with a bad argument', (name) => cache.get(name, { maxStale: -1 }).catch(() => {})],
    ['a look at its statistics', (name) => cache.getStats(name)],
  ])('keeps no trace of %s: neither table nor alarm', async (kind, ask) => {
    const name = `${kind.includes('store') ? 'unstored' : 'failing'} ${kind}`;

    await ask(name);
    await ask(name);

    expect(await traces(name)).toEqual({ tables: [], alarm: null });
  });

  test('gets its alarm with the first entry, whatever came before', async () => {
    const [name] = ['failing at first'];
    await cache.get(name).catch(() => {});

    await cache.set(name, 'stored');

    expect((await traces(name)).alarm).not.toBeNull();
    script.clock.advance(64_000);
    expect(await ring(name)).toBe(true);
    expect(await rowsOf(name)).toEqual({});
  });

  test.each<[string, (storage: DurableObjectStorage) => unknown]>([
    ['a table', (storage) => storage.sql.exec('CREATE TABLE own (id)')],
    ['key-value pairs', (storage) => storage.put('own', 1)],
  ])("gets it also for %s of a subclass's own", async (kind, store) => {
    const name = `failing with ${kind}`;
    await runInDurableObject(env.IDLE.getByName(name), (_object, { storage }) => store(storage));

    await cache.get(name).catch(() => {});

    expect((await traces(name)).alarm).not.toBeNull();
  });
});

describe('a subclass with alarms of its own', () => {
  test('shares the alarm with the upkeep of the object', async () => {
    const stub = env.REMINDERS.getByName('shared');
    await stub.get('key');
    await stub.remindAt('remind', script.clock.now() + 5_000);
    await evictDurableObject(stub);
    script.clock.advance(5_000);

    await runDurableObjectAlarm(stub);

    expect(await runInDurableObject(stub, (object) => object.rung)).toEqual(['remind']);
    expect(await runInDurableObject(stub, (_object, { storage }) => storage.getAlarm())).not.toBeNull();
  });

  test('is rung again for what failed, until it succeeds, through the platform’s own alarm', async () => {
    const stub = env.REMINDERS.getByName('flaky');
    await stub.remindAt('flaky', script.clock.now() + 60_000);
    await stub.remindAt('remind', script.clock.now() + 60_000);

    for (const pause of [60_000, 2_000, 4_000]) {
      script.clock.advance(pause);
      expect(await runDurableObjectAlarm(stub)).toBe(true);
    }

    expect(await runInDurableObject(stub, (object) => object.rung)).toEqual([
      'flaky 1',
      'remind',
      'flaky: Error: not yet',
      'flaky 2',
      'flaky: Error: not yet',
      'flaky 3',
    ]);
    expect(await runDurableObjectAlarm(stub)).toBe(false);
  });
});
