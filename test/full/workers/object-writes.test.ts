import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';

import { durableCache, WriteConflictError, type DurableCacheClient } from '../../../src/cloudflare/index.js';
import { eventually, waitPatiently } from '../../support/patience.js';
import { openMainDatabase, type MainDatabase } from '../../workers/main-database.js';
import { script, type Note } from '../../workers/script.js';

waitPatiently();

let database: MainDatabase;
let objects = 0;

beforeEach(() => {
  database = openMainDatabase();
});

interface Setup {
  readonly stub: (typeof env)['WRITING'] extends DurableObjectNamespace<infer T> ? DurableObjectStub<T> : never;
  readonly cache: DurableCacheClient<Note>;
  /** Lets the object's alarm go off after `ms`; `false` if it has none. */
  readonly ring: (ms: number) => Promise<boolean>;
}

/** An object of its own. */
function setup(): Setup {
  const name = `writing-${(objects += 1)}`;
  const stub = env.WRITING.getByName(name);
  return {
    stub,
    cache: durableCache(env.WRITING, { route: () => name }),
    ring: (ms) => {
      script.clock.advance(ms);
      return runDurableObjectAlarm(stub);
    },
  };
}

/** The rows of a table of an object; 0 if there is no such table. */
function rowsOf({ stub }: Setup, table: string): Promise<number> {
  return runInDurableObject(stub, (_object, { storage: { sql } }) => {
    const [found] = sql.exec('SELECT 1 FROM sqlite_master WHERE name = ?', table).toArray();
    return found === undefined ? 0 : sql.exec<{ rows: number }>(`SELECT count(*) AS rows FROM ${table}`).one().rows;
  });
}

describe('an accepted write', () => {
  test('is read at once, survives an eviction, and is delivered by the alarm', async () => {
    const object = setup();
    await object.cache.set('k', { name: 'new' });
    expect(await object.cache.get('k')).toEqual({ name: 'new' });
    await evictDurableObject(object.stub);

    expect(database.batches).toEqual([]);
    expect(await object.ring(60_000)).toBe(true);

    expect(database.batches).toEqual([[['k', { name: 'new' }]]]);
    expect(await rowsOf(object, 'soloflight_writes')).toBe(0);
    expect(await object.cache.getWriteStatus('k')).toMatchObject({ pending: 0, failures: 0, nextAttempt: null });
  });

  test('goes together with others of its minute, the last of each key', async () => {
    const object = setup();
    for (const version of [1, 2, 3]) await object.cache.set('a', { version });
    script.clock.advance(30_000);
    await object.cache.set('b', { version: 1 });
    await object.ring(30_000);

    expect(database.batches).toEqual([
      [
        ['a', { version: 3 }],
        ['b', { version: 1 }],
      ],
    ]);
  });

  test('is what is read until it is delivered, also when its entry is outlived and its object was evicted', async () => {
    const object = setup();
    await object.cache.set('k', { name: 'new' });
    script.clock.advance(20_000);
    await evictDurableObject(object.stub);

    expect(await object.cache.get('k')).toEqual({ name: 'new' });

    await object.ring(40_000);
    script.clock.advance(20_000);
    expect(await object.cache.get('k')).toEqual({ from: 'upstream' });
  });

  test('is delivered in time, however often its object is evicted and asked again', async () => {
    const object = setup();
    await object.cache.set('k', { name: 'new' });
    for (let round = 0; round < 3; round += 1) {
      await evictDurableObject(object.stub);
      script.clock.advance(19_000);
      await object.cache.getWriteStatus('k');
    }

    await object.ring(3_000);

    expect(database.batches).toHaveLength(1);
  });

  test('is delivered as soon as there are as many as fit into a batch', async () => {
    script.writes = { ...script.writes, maxBatch: 2 };
    const object = setup();
    await object.cache.set('a', { n: 1 });
    await object.cache.set('b', { n: 2 });

    await object.ring(1);

    expect(database.batches.flat()).toHaveLength(2);
  });

  test('of a large value is kept compressed', async () => {
    const object = setup();
    const text = 'word '.repeat(10_000);
    await object.cache.set('k', { text });
    const bytes = await runInDurableObject(
      object.stub,
      (_object, { storage: { sql } }) =>
        sql.exec<{ bytes: number }>('SELECT length(value) AS bytes FROM soloflight_writes').one().bytes,
    );
    await evictDurableObject(object.stub);
    await object.ring(60_000);

    expect(bytes).toBeLessThan(1_000);
    expect(database.batches).toEqual([[['k', { text }]]]);
  });

  test('is delivered by itself: the platform rings', async () => {
    await env.PROMPT.getByName('prompt').set('k', { name: 'new' });

    await eventually(() => expect(database.batches).toEqual([[['k', { name: 'new' }]]]));
  });

  test('that deletes is a write like others', async () => {
    const object = setup();
    await object.cache.set('k', { name: 'old' });
    await object.cache.delete('k');

    expect(await object.cache.get('k')).toBeUndefined();
    await object.ring(60_000);
    expect(database.batches).toEqual([[['k', undefined]]]);
  });

  test('can be delivered at once, and leaves no alarm for itself behind', async () => {
    const object = setup();
    await object.cache.set('k', { name: 'new' });
    await object.cache.flush('k');

    expect(database.batches).toHaveLength(1);
    const due = await runInDurableObject(object.stub, (_object, { storage: { sql } }) =>
      sql.exec("SELECT 1 FROM soloflight_alarms WHERE name = 'soloflight:flush'").toArray(),
    );
    expect(due).toEqual([]);
  });
});

describe('an accepted write whose alarm the platform fails to set', () => {
  test('is reported, and delivered by the alarm of the next one', async () => {
    const object = setup();
    // What the object sets for itself is set.
    await object.cache.get('other');
    await runInDurableObject(object.stub, (_object, { storage }) => {
      vi.spyOn(storage, 'setAlarm').mockRejectedValueOnce(new Error('no alarm'));
    });
    await object.cache.set('a', { version: 1 });
    expect(database.errors).toEqual(['Error: no alarm']);

    await object.cache.set('b', { version: 1 });

    const due = await runInDurableObject(object.stub, (_object, { storage }) => storage.getAlarm());
    expect(due! - Date.now()).toBeLessThanOrEqual(60_000);
    await object.ring(60_000);
    expect(database.batches).toEqual([
      [
        ['a', { version: 1 }],
        ['b', { version: 1 }],
      ],
    ]);
  });
});

describe('an update', () => {
  beforeEach(() => {
    script.writes = {
      ...script.writes,
      apply: (current, change) => {
        if (typeof change !== 'object') throw new TypeError('no change');
        return { ...current, ...change };
      },
    };
  });

  test('changes what is pending, or what the upstream has', async () => {
    const { cache } = setup();

    expect(await cache.update('k', { name: 'new' })).toEqual({ from: 'upstream', name: 'new' });
    expect(await cache.update('k', { mail: 'm' })).toEqual({ from: 'upstream', name: 'new', mail: 'm' });
  });

  test('is made of what was known last while the upstream is away, and of nothing where nothing was known', async () => {
    const { loadNote } = script;
    onTestFinished(() => void (script.loadNote = loadNote));
    const object = setup();
    await object.cache.get('k');
    script.clock.advance(60_000);
    script.loadNote = () => {
      throw new Error('the main database is away');
    };

    expect(await object.cache.update('k', { name: 'new' })).toEqual({ from: 'upstream', name: 'new' });
    await expect(object.cache.update('unknown', { name: 'new' })).rejects.toThrow('the main database is away');
    await expect(object.cache.update('k', 'nonsense')).rejects.toThrow('no change');
  });

  test('many at once lose nothing', async () => {
    const object = setup();
    await Promise.all(
      Array.from({ length: 20 }, (_, index) => object.cache.update('k', { [`field-${index}`]: index })),
    );
    await object.ring(60_000);

    expect(Object.keys(database.batches[0]?.[0]?.[1] ?? {})).toHaveLength(21);
  });

  test('that fails changes nothing, and says why', async () => {
    const object = setup();

    await expect(object.cache.update('k', 'nonsense')).rejects.toThrow('no change');
    expect(await rowsOf(object, 'soloflight_writes')).toBe(0);
  });

  test('made without knowing the current value is told that by RPC, with the value', async () => {
    script.writes = {
      ...script.writes,
      apply: (current, _change, key) => {
        throw new WriteConflictError(key, current);
      },
    };
    const object = setup();

    const failed = object.cache.update('k', {}).catch((error: unknown) => error);

    expect(await failed).toMatchObject({ code: 'SOLOFLIGHT_WRITE_CONFLICT', key: 'k', current: { from: 'upstream' } });
    expect(await rowsOf(object, 'soloflight_writes')).toBe(0);
  });

  test('without `apply` says what is missing', async () => {
    openMainDatabase();

    await expect(setup().cache.update('k', {})).rejects.toThrow(/Expected `writes.apply` to be set for `update`/);
  });
});

describe('a sink that is down', () => {
  test('for three alarms gets everything in order when it is back, each once', async () => {
    const object = setup();
    let down = 3;
    database.before = () => {
      if ((down -= 1) >= 0) throw new Error('down');
    };
    await object.cache.set('a', { version: 1 });
    await object.cache.set('b', { version: 1 });
    await object.ring(60_000);
    await object.cache.set('a', { version: 2 });
    await evictDurableObject(object.stub);
    await object.ring(60_000);
    await object.cache.set('a', { version: 3 });
    await object.ring(60_000);

    expect([database.batches, database.errors]).toEqual([[], ['Error: down', 'Error: down', 'Error: down']]);
    expect(await object.cache.get('a')).toEqual({ version: 3 });
    expect((await object.cache.getWriteStatus('a')).lastError).toMatchObject({ message: 'down' });
    while (await object.ring(60_000)) if ((await rowsOf(object, 'soloflight_writes')) === 0) break;

    const delivered = database.batches.flat();
    expect(delivered.filter(([key]) => key === 'b')).toEqual([['b', { version: 1 }]]);
    // The first was seen by the sink, the others became one behind it.
    expect(delivered.filter(([key]) => key === 'a')).toEqual([
      ['a', { version: 1 }],
      ['a', { version: 3 }],
    ]);
    expect(new Set(database.ids).size).toBe(database.ids.length);
  });

  test('is tried again by alarm after a pause, without anybody asking', async () => {
    const object = setup();
    database.before = () => {
      throw new Error('down');
    };
    await object.cache.set('k', { version: 1 });
    await object.ring(60_000);
    database.before = () => {};

    expect(await object.ring(1_000)).toBe(true);

    expect(database.batches).toEqual([[['k', { version: 1 }]]]);
  });

  test('loses nothing when the object ends in the middle of a delivery', async () => {
    const object = setup();
    await object.cache.set('k', { version: 1 });
    let calls = 0;
    database.before = () => {
      if ((calls += 1) > 1) return;
      return runInDurableObject(object.stub, (_object, state) => state.abort('the machine is gone'));
    };
    await object.ring(60_000).catch(() => false);
    for (let round = 0; round < 3; round += 1) await object.ring(60_000);

    expect(calls).toBe(2);
    expect(database.batches.at(-1)).toEqual([['k', { version: 1 }]]);
    expect(new Set(database.ids).size).toBe(1);
    expect(await rowsOf(object, 'soloflight_writes')).toBe(0);
  });
});

describe('writes that come while others are delivered', () => {
  test('go with the next alarm, behind those of their key', async () => {
    const object = setup();
    await object.cache.set('a', { version: 1 });
    database.before = async () => {
      database.before = () => {};
      await object.cache.set('a', { version: 2 });
      await object.cache.set('b', { version: 1 });
    };

    await object.ring(60_000);
    expect(await object.cache.get('a')).toEqual({ version: 2 });
    while ((await rowsOf(object, 'soloflight_writes')) > 0) expect(await object.ring(60_000)).toBe(true);

    expect(database.batches[0]).toEqual([['a', { version: 1 }]]);
    expect(database.batches.slice(1).flat()).toEqual([
      ['a', { version: 2 }],
      ['b', { version: 1 }],
    ]);
  });
});

describe('a delivery that takes longer than an alarm', () => {
  test('goes on, is looked at again, and ends with no alarm left', async () => {
    script.writes = { ...script.writes, maxDuration: '5m' };
    const object = setup();
    const delivery = { isReached: false, isReleased: false };
    database.before = async () => {
      delivery.isReached = true;
      while (!delivery.isReleased) await new Promise<void>((resolve) => void script.clock.after(1_000, resolve));
    };
    /** Inside of the object, whose timers go off. */
    const advance = (ms: number): Promise<void> => runInDurableObject(object.stub, () => script.clock.advance(ms));
    await object.cache.set('k', { version: 1 });
    const ringing = object.ring(60_000);
    await eventually(() => expect(delivery.isReached).toBe(true));
    await advance(45_000);

    expect(await ringing).toBe(true);
    expect(database.batches).toEqual([]);

    delivery.isReleased = true;
    await advance(5_000);
    expect(database.batches).toEqual([[['k', { version: 1 }]]]);
    expect(database.errors).toEqual([]);
    expect(await object.cache.getWriteStatus('k')).toMatchObject({ pending: 0, nextAttempt: null });
    await object.ring(1);
    expect(database.batches).toHaveLength(1);
  });
});

describe('a version of the program that takes no writes', () => {
  test('keeps what an earlier one accepted, and the next one delivers it', async () => {
    const object = setup();
    await object.cache.set('k', { version: 1 });
    script.takesWrites = false;
    onTestFinished(() => void (script.takesWrites = true));
    await evictDurableObject(object.stub);
    await object.ring(60_000);
    await object.ring(2 * 86_400_000);
    expect([await rowsOf(object, 'soloflight_writes'), database.batches]).toEqual([1, []]);

    script.takesWrites = true;
    await evictDurableObject(object.stub);
    await object.cache.lookup('other');
    await object.ring(0);

    expect(database.batches).toEqual([[['k', { version: 1 }]]]);
  });
});

describe('whatever happens', () => {
  /** A small generator, so that what failed once fails again. */
  function chance(seed: number): (below: number) => number {
    let state = seed;
    return (below) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
  }

  test.each([1, 2, 3, 4, 5, 6])('nothing is lost, nothing comes out of order (%i)', async (seed) => {
    const pick = chance(seed);
    script.writes = { ...script.writes, maxBatch: 3, compressAbove: 64 };
    const object = setup();
    const accepted = new Map<string, number>();
    const text = 'long '.repeat(50);
    for (let step = 1; step <= 60; step += 1) {
      const key = `key-${pick(4)}`;
      const what = pick(10);
      if (what < 6) {
        await object.cache.set(key, { step, ...(pick(3) === 0 ? { text } : {}) });
        accepted.set(key, step);
      } else if (what === 6) await evictDurableObject(object.stub).catch(() => {});
      else {
        const mood = pick(3);
        database.before = async () => {
          if (mood === 0) throw new Error('down');
          if (mood === 1) return;
          database.before = () => {};
          step += 1;
          accepted.set(key, step);
          await object.cache.set(key, { step });
        };
        await object.ring(60_000);
      }
    }
    database.before = () => {};
    for (let round = 0; round < 20 && (await rowsOf(object, 'soloflight_writes')) > 0; round += 1)
      await object.ring(60_000);

    const seen = new Map<string, number[]>();
    for (const [key, value] of database.batches.flat()) {
      const steps = seen.get(key) ?? [];
      steps.push(value?.['step'] as number);
      seen.set(key, steps);
    }
    for (const [key, steps] of seen) expect([key, steps]).toEqual([key, [...new Set(steps)].toSorted((a, b) => a - b)]);
    expect(new Map([...seen].map(([key, steps]) => [key, steps.at(-1)]))).toEqual(accepted);
    expect(new Set(database.ids).size).toBe(database.ids.length);
  });
});

describe('an idle object', () => {
  const DAY = 86_400_000;

  test('is not deleted as long as a write is pending', async () => {
    script.writes = { ...script.writes, flushEvery: '30d' };
    const object = setup();
    await object.cache.set('k', { version: 1 });
    for (let round = 0; round < 4; round += 1) {
      await evictDurableObject(object.stub);
      await object.ring(2 * DAY);
    }
    expect(await rowsOf(object, 'soloflight_writes')).toBe(1);

    await object.ring(30 * DAY);
    expect(database.batches).toEqual([[['k', { version: 1 }]]]);
    await object.ring(2 * DAY);
    await object.ring(2 * DAY);
    expect(await rowsOf(object, 'soloflight_alarms')).toBe(0);
  });

  test('keeps its dead letters', async () => {
    script.writes = { ...script.writes, sink: (writes) => writes.map(() => ({ reject: 'no such user' })) };
    const object = setup();
    await object.cache.set('k', { version: 1 });
    await object.ring(60_000);
    for (let round = 0; round < 3; round += 1) await object.ring(2 * DAY);

    expect(await object.stub.dead()).toEqual(['k']);
    expect(database.errors).toEqual(["Error: The write of 'k' became a dead letter: no such user"]);
  });
});

describe('pressure', () => {
  test('beyond maxPending is an error that says so, and nothing is stored', async () => {
    script.writes = { ...script.writes, maxPending: 1 };
    const object = setup();
    await object.cache.set('a', { version: 1 });

    await expect(object.cache.set('b', { version: 1 })).rejects.toMatchObject({ code: 'SOLOFLIGHT_TOO_MANY_WRITES' });
    expect(await rowsOf(object, 'soloflight_writes')).toBe(1);
  });
});

describe('misuse', () => {
  test.each([
    [null, /Expected `options of objectWrites` to be an object/],
    [{}, /Expected `sink` to be a function/],
    [{ queue: {} }, /Expected `writes.queue` to be left out/],
    [{ schedule: 1 }, /Expected `writes.schedule` to be left out/],
    [{ authorise: 1 }, /without unknown names \(known: .*authorize.*\), got `'authorise'`/],
    [{ authorize: true }, /Expected `writes.authorize` to be a function/],
    [{ maxMessageSize: 0 }, /Expected `writes.maxMessageSize` to be an integer ≥ 1/],
    [{ rate: 5 }, /Expected `writes.rate` to be an object/],
    [{ rate: { messages: 0, per: '1s' } }, /Expected `writes.rate.messages` to be an integer ≥ 1/],
    [{ rate: { messages: 1, per: 0 } }, /`writes.rate.per`/],
    [{ badMessages: 'ignore' }, /Expected `writes.badMessages` to be 'keep' or 'close'/],
    [{ compressAbove: -1 }, /Expected `writes.compressAbove` to be an integer/],
  ])('%j is named', async (writes, message) => {
    script.writes = writes as never;

    await expect(setup().cache.set('k', {})).rejects.toThrow(message);
  });

  test('options that were not made into what takes writes are answered with the cure', async () => {
    script.object = { writes: { sink: () => {} } } as never;
    onTestFinished(() => void (script.object = {}));

    await expect(setup().cache.get('k')).rejects.toThrow(
      /Expected `writes` to be the result of `objectWrites\(\{ sink/,
    );
  });

  test('writes to an object that takes none are named', async () => {
    const cache = durableCache(env.SCRIPTED);

    await expect(cache.delete('k')).rejects.toThrow(/Expected `writes` to be set/);
    await expect(cache.flush('k')).rejects.toThrow(/Expected `writes` to be set/);
    await expect(cache.getWriteStatus('k')).rejects.toThrow(/Expected `writes` to be set/);
  });
});
