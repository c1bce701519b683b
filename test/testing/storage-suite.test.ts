import assert from 'node:assert/strict';

import { describe, expect, test } from 'vitest';

import type { StorageTier, StorageWrite } from '../../src/contracts.js';
import type { Entry } from '../../src/entry.js';
import { UndecodableError } from '../../src/errors.js';
import { defineStorage } from '../../src/index.js';
import { mapStorage } from '../../src/storage/map.js';
import {
  storageSuite,
  type StorageCapabilities,
  type StorageSuiteOptions,
  type StorageSuiteRunner,
} from '../../src/testing/index.js';

/** Runs the suite on tiers given by `open`, and gives the names of the tests that fail. */
async function failuresOf(
  open: StorageSuiteOptions['open'],
  supports: StorageCapabilities = {},
  equal: StorageSuiteRunner['equal'] = assert.deepStrictEqual,
): Promise<string[]> {
  const failures: string[] = [];
  for (const [name, run] of collect(open, supports, equal)) {
    try {
      await run();
    } catch {
      failures.push(name);
    }
  }
  return failures;
}

function collect(
  open: StorageSuiteOptions['open'],
  supports: StorageCapabilities,
  equal: StorageSuiteRunner['equal'] = assert.deepStrictEqual,
): [string, () => Promise<void>][] {
  const tests: [string, () => Promise<void>][] = [];
  storageSuite({ test: (name, run) => tests.push([name, run]), equal }, { open, supports });
  return tests;
}

/** A working tier, of which `changes` replaces some methods. `base` is the working one. */
function changed(changes: (base: Required<StorageTier>) => Partial<StorageTier>): StorageTier {
  const base = mapStorage() as Required<StorageTier>;
  const tier: StorageTier = defineStorage({
    name: 'changed',
    get: (key) => base.get(key),
    set: (key, entry, keepUntil) => base.set(key, entry, keepUntil),
    delete: (key) => base.delete(key),
    getMany: (keys) => base.getMany(keys),
    setMany: (writes) => base.setMany(writes),
    deleteMany: (keys) => base.deleteMany(keys),
    setIfNewer: (key, entry, keepUntil) => base.setIfNewer(key, entry, keepUntil),
    clear: () => base.clear(),
    sweep: (now, limit) => base.sweep(now, limit),
    close: () => base.close(),
  });
  return { ...tier, ...changes(base) };
}

/** A working tier without versions: their tests are in version-suite.test.ts. */
const sound = (): StorageTier => changed(() => ({}));

/** A tier that passes every entry through `change` before it stores it, and every key through `name`. */
function storing(change: (entry: Entry) => Entry, name: (key: string) => string = (key) => key): StorageTier {
  return changed((base) => ({
    get: (key) => base.get(name(key)),
    set: (key, entry, keepUntil) => base.set(name(key), change(entry), keepUntil),
    delete: (key) => base.delete(name(key)),
    getMany: (keys) => base.getMany(keys.map(name)),
    setMany: (writes) =>
      base.setMany(writes.map(({ key, entry, keepUntil }) => ({ key: name(key), entry: change(entry), keepUntil }))),
    deleteMany: (keys) => base.deleteMany(keys.map(name)),
    setIfNewer: (key, entry, keepUntil) => base.setIfNewer(name(key), change(entry), keepUntil),
  }));
}

const viaJson = (entry: Entry): Entry => JSON.parse(JSON.stringify(entry)) as Entry;

describe('a sound adapter', () => {
  test('passes, synchronous or not, with any equal that throws', async () => {
    const slow = () =>
      changed((base) => ({
        get: async (key) => (await Promise.resolve(), base.get(key)),
        set: async (key, entry, keepUntil) => (await Promise.resolve(), base.set(key, entry, keepUntil)),
        getMany: async (keys) => (await Promise.resolve(), base.getMany(keys)),
      }));

    expect(await failuresOf(mapStorage, { references: true, binary: true, version: true, keys: true })).toEqual([]);
    expect(await failuresOf(slow)).toEqual([]);
    expect(
      await failuresOf(mapStorage, { version: true, keys: true }, (actual, expected) =>
        expect(actual).toStrictEqual(expected),
      ),
    ).toEqual([]);
  });

  test('with nothing but get, set and delete passes if it says so', async () => {
    const small = () => {
      const base = mapStorage();
      return defineStorage({
        name: 'small',
        get: (key: string) => base.get(key),
        set: (key: string, entry: Entry, keepUntil: number) => base.set(key, entry, keepUntil),
        delete: async (key: string) => void (await base.delete(key)),
      });
    };
    const none = {
      getMany: false,
      setMany: false,
      deleteMany: false,
      setIfNewer: false,
      clear: false,
      sweep: false,
      close: false,
      deleteReports: false,
    };

    expect(await failuresOf(small, none)).toEqual([]);
    expect(await failuresOf(small)).not.toEqual([]);
  });
});

describe('a broken adapter is found out', () => {
  const broken: [string, () => StorageTier, StorageCapabilities, RegExp][] = [
    ['drops Infinity', () => storing(viaJson), {}, /^instants of Infinity/],
    [
      'loses absent values',
      () => storing((entry) => ({ ...entry, value: entry.value ?? null })),
      {},
      /^an entry without a value/,
    ],
    [
      'takes absent for missing',
      () =>
        changed((base) => ({
          get: async (key) => {
            const entry = await base.get(key);
            return entry?.value === undefined ? undefined : entry;
          },
        })),
      {},
      /^an entry without a value/,
    ],
    [
      'takes falsy values for missing',
      () =>
        changed((base) => ({
          get: async (key) => {
            const entry = await base.get(key);
            return entry?.value ? entry : undefined;
          },
        })),
      {},
      /^falsy and empty values/,
    ],
    [
      'answers null for a missing key',
      () => changed((base) => ({ get: async (key) => (await base.get(key)) ?? (null as never) })),
      {},
      /^get answers undefined/,
    ],
    [
      'rounds instants',
      () => storing((entry) => ({ ...entry, startedAt: Math.floor(entry.startedAt) })),
      {},
      /^fractions of a millisecond/,
    ],
    [
      'keeps instants in 32 bits',
      () => storing((entry) => ({ ...entry, createdAt: entry.createdAt | 0 })),
      {},
      /^every field/,
    ],
    ['loses how long the load took', () => storing((entry) => ({ ...entry, loadMs: 0 })), {}, /^every field/],
    [
      'joins tags by a comma',
      () => storing((entry) => ({ ...entry, tags: entry.tags.join().split(',') })),
      {},
      /^tags come back/,
    ],
    [
      'makes undefined meta null',
      () => storing((entry) => ({ ...entry, meta: entry.meta ?? null })),
      {},
      /^meta comes back/,
    ],
    [
      'keeps old fields on replacement',
      () =>
        changed((base) => ({
          set: async (key, entry, keepUntil) =>
            base.set(key, { ...entry, meta: entry.meta ?? (await base.get(key))?.meta }, keepUntil),
        })),
      {},
      /^set replaces an entry as a whole/,
    ],
    [
      'refuses older entries in set',
      () =>
        changed((base) => ({
          set: async (key, entry, keepUntil) => void (await base.setIfNewer(key, entry, keepUntil)),
        })),
      {},
      /^set replaces an entry that claims to be newer/,
    ],
    [
      'ignores case',
      () =>
        storing(
          (entry) => entry,
          (key) => key.toLowerCase(),
        ),
      {},
      /^keys of any kind never collide/,
    ],
    [
      'trims keys',
      () =>
        storing(
          (entry) => entry,
          (key) => key.trim(),
        ),
      {},
      /^keys of any kind never collide/,
    ],
    [
      'normalizes keys',
      () =>
        storing(
          (entry) => entry,
          (key) => key.normalize(),
        ),
      {},
      /^keys of any kind never collide/,
    ],
    [
      'ends keys at NUL',
      () =>
        storing(
          (entry) => entry,
          (key) => key.split('\0')[0]!,
        ),
      {},
      /^keys of any kind never collide/,
    ],
    [
      'stores keys as UTF-8',
      () =>
        storing(
          (entry) => entry,
          (key) => Buffer.from(key).toString(),
        ),
      {},
      /^keys of any kind never collide/,
    ],
    [
      'cuts long keys',
      () =>
        storing(
          (entry) => entry,
          (key) => key.slice(0, 10_000),
        ),
      {},
      /^keys of any kind never collide/,
    ],
    [
      'decodes keys',
      () =>
        storing(
          (entry) => entry,
          (key) => {
            try {
              return decodeURIComponent(key);
            } catch {
              return key;
            }
          },
        ),
      {},
      /^keys of any kind never collide/,
    ],
    [
      'keeps a plain object',
      () => {
        const held: Record<string, Entry> = {};
        return changed(() => ({ get: (key) => held[key], set: (key, entry) => void (held[key] = entry) }));
      },
      {},
      /^keys of any kind never collide/,
    ],
    ['deletes by prefix', () => deletingByPrefix(), {}, /^delete removes the entry of its key alone/],
    [
      'says that it deleted what was not there',
      () => changed((base) => ({ delete: async (key) => (await base.delete(key), true) })),
      {},
      /^delete tells/,
    ],
    [
      'claims deletions without being asked',
      () => changed((base) => ({ delete: async (key) => (await base.delete(key), true) })),
      { deleteReports: false },
      /^delete of a key that is not there/,
    ],
    [
      'does not tell what it deleted',
      () => changed((base) => ({ delete: async (key) => void (await base.delete(key)) })),
      {},
      /^delete tells/,
    ],
    [
      'changes the entry it is given',
      () => storing((entry) => Object.assign(entry, { meta: null })),
      {},
      /^entries are not changed/,
    ],
    [
      'changes the value it is given',
      () =>
        storing((entry) => {
          if (typeof entry.value === 'object' && entry.value !== null) Reflect.set(entry.value, 'stored', true);
          return entry;
        }),
      {},
      /^entries are not changed/,
    ],
    [
      "can't take frozen entries",
      () => storing((entry) => Object.assign(entry, { loadMs: entry.loadMs })),
      {},
      /^deeply frozen entries/,
    ],
    [
      'has no room for a megabyte',
      () =>
        changed((base) => ({
          set: (key, entry, keepUntil) => {
            if (JSON.stringify(entry).length > 100_000) throw new Error('too large');
            return base.set(key, entry, keepUntil);
          },
        })),
      {},
      /^a value of a megabyte/,
    ],
    [
      'copies values it says it refers to',
      () => storing((entry) => ({ ...entry, value: Object.assign({}, entry.value) })),
      { references: true },
      /^values come back as the same/,
    ],
    ['refers to values it says it copies', sound, { references: false }, /^a change to a value/],
    [
      'gives bytes as an array',
      () => storing((entry) => (entry.value instanceof Uint8Array ? { ...entry, value: [...entry.value] } : entry)),
      { binary: true },
      /^bytes come back/,
    ],
    ['mixes up overlapping writes', () => mixing(), {}, /^overlapping/],
    [
      'answers getMany without the missing',
      () =>
        changed((base) => ({
          getMany: async (keys) => (await base.getMany(keys)).filter((entry) => entry !== undefined),
        })),
      {},
      /^getMany answers in the order/,
    ],
    [
      'answers getMany in its own order',
      () => changed((base) => ({ getMany: (keys) => base.getMany([...keys].sort()) })),
      {},
      /^getMany answers in the order/,
    ],
    [
      'answers getMany once per key',
      () => changed((base) => ({ getMany: (keys) => base.getMany([...new Set(keys)]) })),
      {},
      /^getMany answers for a key as often/,
    ],
    [
      'fails on an empty getMany',
      () =>
        changed((base) => ({
          getMany: (keys) => {
            if (keys.length === 0) throw new Error('syntax error near ")"');
            return base.getMany(keys);
          },
        })),
      {},
      /^getMany of no keys/,
    ],
    [
      'takes a thousand keys at most',
      () =>
        changed((base) => ({
          getMany: (keys) => {
            if (keys.length > 999) throw new Error('too many SQL variables');
            return base.getMany(keys);
          },
        })),
      {},
      /^getMany takes 1500 keys/,
    ],
    [
      'keeps the first of two writes',
      () => changed((base) => ({ setMany: (writes) => base.setMany([...writes].reverse()) })),
      {},
      /of two writes of one key keeps the last/,
    ],
    [
      'does not replace in setMany',
      () =>
        changed((base) => ({
          setMany: async (writes) => {
            for (const write of writes) await setMissing(base, write);
          },
        })),
      {},
      /^setMany replaces/,
    ],
    [
      'clears on an empty setMany',
      () => changed((base) => ({ setMany: (writes) => (writes.length === 0 ? base.clear() : base.setMany(writes)) })),
      {},
      /^setMany of nothing/,
    ],
    [
      'clears on an empty deleteMany',
      () => changed((base) => ({ deleteMany: (keys) => (keys.length === 0 ? base.clear() : base.deleteMany(keys)) })),
      {},
      /^deleteMany of no keys/,
    ],
    [
      'stops deleteMany at a missing key',
      () =>
        changed((base) => ({
          deleteMany: async (keys) => {
            for (const key of keys) if (!(await base.delete(key))) return;
          },
        })),
      {},
      /^deleteMany removes its keys/,
    ],
    [
      'always stores in setIfNewer',
      () =>
        changed((base) => ({
          setIfNewer: async (key, entry, keepUntil) => (await base.set(key, entry, keepUntil), true),
        })),
      {},
      /^setIfNewer leaves an entry/,
    ],
    [
      'refuses equals in setIfNewer',
      () =>
        changed((base) => ({
          setIfNewer: async (key, entry, keepUntil) =>
            (await base.get(key))?.startedAt !== entry.startedAt && base.setIfNewer(key, entry, keepUntil),
        })),
      {},
      /at the same instant/,
    ],
    [
      'lies about setIfNewer',
      () =>
        changed((base) => ({
          setIfNewer: async (key, entry, keepUntil) => (await base.setIfNewer(key, entry, keepUntil), true),
        })),
      {},
      /^setIfNewer leaves an entry/,
    ],
    [
      'compares whole milliseconds in setIfNewer',
      () =>
        changed((base) => ({
          setIfNewer: async (key, entry, keepUntil) =>
            Math.ceil(entry.startedAt) >= ((await base.get(key))?.startedAt ?? 0) &&
            (await base.set(key, entry, keepUntil), true),
        })),
      {},
      /^setIfNewer leaves an entry/,
    ],
    [
      'reads before it writes in setIfNewer',
      () =>
        changed((base) => ({
          setIfNewer: async (key, entry, keepUntil) => {
            const stored = await base.get(key);
            for (let turn = 0; turn < 3; turn += 1) await undefined;
            if (stored !== undefined && stored.startedAt > entry.startedAt) return false;
            await base.set(key, entry, keepUntil);
            return true;
          },
        })),
      {},
      /^of overlapping calls of setIfNewer/,
    ],
    [
      'remembers deleted entries in setIfNewer',
      () => remembering(),
      {},
      /^setIfNewer stores anything once a newer entry is deleted/,
    ],
    [
      'sweeps too late',
      () => changed((base) => ({ sweep: (now, limit) => base.sweep(now - 1, limit) })),
      {},
      /^sweep removes what is outlived/,
    ],
    [
      'sweeps too early',
      () => changed((base) => ({ sweep: (now, limit) => base.sweep(now + 1, limit) })),
      {},
      /^sweep removes what is outlived/,
    ],
    [
      'sweeps beyond the limit',
      () => changed((base) => ({ sweep: (now) => base.sweep(now, Infinity) })),
      {},
      /^sweep removes no more than its limit/,
    ],
    [
      'miscounts what it sweeps',
      () => changed((base) => ({ sweep: async (now, limit) => ((await base.sweep(now, limit)) > 0 ? 1 : 0) })),
      {},
      /^sweep removes no more than its limit/,
    ],
    [
      'sweeps what is kept for ever',
      () => changed((base) => ({ set: (key, entry, keepUntil) => base.set(key, entry, Math.min(keepUntil, 1e300)) })),
      {},
      /^sweep never removes/,
    ],
    ['keeps the first keepUntil', () => keepingFirst(), {}, /^sweep goes by the latest write/],
    [
      'prolongs what setIfNewer refused',
      () =>
        changed((base) => ({
          setIfNewer: async (key, entry, keepUntil) => {
            const stored = await base.get(key);
            if (await base.setIfNewer(key, entry, keepUntil)) return true;
            await base.set(key, stored!, keepUntil);
            return false;
          },
        })),
      {},
      /^sweep goes by what setIfNewer stored/,
    ],
    ['clears nothing', () => changed(() => ({ clear: () => {} })), {}, /^clear removes everything/],
    [
      'can be closed only once',
      () => {
        let closed = false;
        return changed(() => ({
          close: () => {
            if (closed) throw new Error('closed');
            closed = true;
          },
        }));
      },
      {},
      /^close may be called twice/,
    ],
    ['forgets everything when reopened', sound, { reopen: sound }, /after reopening/],
    [
      'brings back deleted entries',
      sound,
      {
        reopen: (tier) =>
          changed((base) => ({
            get: async (key) => (await tier.get(key)) ?? (await base.get(key)) ?? ({ value: 'back' } as Entry),
          })),
      },
      /after reopening/,
    ],
    ['has no name', () => changed(() => ({ name: '' })), {}, /^the tier has a name/],
    [
      'lost a method',
      () =>
        without(
          changed(() => ({})),
          'sweep',
        ),
      {},
      /^the tier has a name, and the methods/,
    ],
    ['has a method it does not own up to', sound, { getMany: false }, /^the tier has a name, and the methods/],
  ];

  test.each(broken)('when it %s', async (_, open, supports, name) => {
    expect(await failuresOf(open, supports)).toContainEqual(expect.stringMatching(name));
  });

  test('by tests that each catch something', async () => {
    const all = collect(sound, { references: true, binary: true, reopen: (tier) => tier }).map(([name]) => name);
    const caught = new Set<string>();

    for (const [, open, supports] of broken) for (const name of await failuresOf(open, supports)) caught.add(name);

    // That one is about the runner, below.
    expect(all.filter((name) => !caught.has(name))).toEqual(['the test runner notices differences']);
  });
});

describe('a test runner', () => {
  test('whose equal never throws is found out', async () => {
    expect(await failuresOf(mapStorage, { version: true, keys: true }, () => {})).toEqual([
      'the test runner notices differences',
    ]);
    expect(
      await failuresOf(mapStorage, { version: true, keys: true }, (actual, expected) => actual === expected),
    ).toEqual(['the test runner notices differences']);
  });

  test('whose equal is shallow is found out', async () => {
    const shallow = (actual: unknown, expected: unknown) => assert.equal(typeof actual, typeof expected);

    expect(await failuresOf(mapStorage, { version: true, keys: true }, shallow)).toContain(
      'the test runner notices differences',
    );
  });
});

describe('each test of the suite', () => {
  test('opens a tier of its own and closes it, also when it fails', async () => {
    for (const damage of [
      {},
      {
        get: () => {
          throw new Error('broken');
        },
      },
    ]) {
      let opened = 0;
      let closed = 0;
      const open = () => {
        opened += 1;
        let first = true;
        return changed(() => ({
          ...damage,
          close: () => {
            if (first) closed += 1;
            first = false;
          },
        }));
      };

      await failuresOf(open);

      expect(opened).toBe(collect(open, {}).length - 1);
      expect(closed).toBe(opened);
    }
  });

  test('reports what it found, not that close failed too', async () => {
    const open = () =>
      changed(() => ({
        get: () => {
          throw new Error('broken get');
        },
        close: () => {
          throw new Error('broken close');
        },
      }));
    const [, run] = collect(open, {}).find(([name]) => name === 'every field of an entry comes back')!;

    await expect(run()).rejects.toThrow('broken get');
  });

  test('has a name of its own', () => {
    const names = collect(sound, { references: true, binary: true, reopen: (tier) => tier }).map(([name]) => name);

    expect(new Set(names).size).toBe(names.length);
  });
});

describe('what is left out', () => {
  const full = collect(sound, {}).map(([name]) => name);

  test.each<[keyof StorageCapabilities, RegExp]>([
    ['absent', /^(in a namespace: )?an entry without a value/],
    ['infinity', /Infinity/],
    ['largeValues', /megabyte/],
    ['deleteReports', /^(in a namespace: )?delete tells/],
    ['getMany', /^(in a namespace: )?getMany/],
    ['setMany', /^(in a namespace: )?setMany/],
    ['deleteMany', /^(in a namespace: )?deleteMany/],
    ['setIfNewer', /setIfNewer/],
    ['clear', /^(in a namespace: )?clear/],
    ['sweep', /^(in a namespace: )?sweep/],
    ['close', /^(in a namespace: )?close/],
  ])('without %s is only what concerns it', (capability, concerned) => {
    const names = collect(sound, { [capability]: false }).map(([name]) => name);

    expect(full.filter((name) => !names.includes(name))).toEqual(full.filter((name) => concerned.test(name)));
    expect(names.filter((name) => !full.includes(name))).toEqual([]);
  });

  test('without atomicSet is that a broken payload may be left, but not a mixture', async () => {
    const tearing = () =>
      changed((base) => {
        const writing = new Set<string>();
        const torn = new Set<string>();
        return {
          get: (key) => {
            if (torn.has(key)) throw new UndecodableError(key, 'half of it is missing');
            return base.get(key);
          },
          set: async (key, entry, keepUntil) => {
            if (writing.has(key)) torn.add(key);
            writing.add(key);
            await Promise.resolve();
            await base.set(key, entry, keepUntil);
            writing.delete(key);
          },
        };
      });
    let first: Entry | undefined;
    const mixed = () => storing((entry) => ({ ...entry, meta: (first ??= entry).meta }));
    const overlapping = (names: readonly string[]) => names.filter((name) => name.includes('overlapping writes'));

    expect(overlapping(await failuresOf(tearing))).toHaveLength(2);
    expect(overlapping(await failuresOf(tearing, { atomicSet: false }))).toEqual([]);
    expect(overlapping(await failuresOf(mixed, { atomicSet: false }))).not.toEqual([]);
  });

  test('without anyKey are the hostile keys', async () => {
    const ascii = () =>
      storing(
        (entry) => entry,
        (key) => {
          if (!/^[\x21-\x7e]{1,250}$/.test(key)) throw new Error('no such keys here');
          return key;
        },
      );

    expect(await failuresOf(ascii)).not.toEqual([]);
    expect(await failuresOf(ascii, { anyKey: false, close: true })).toEqual([]);
  });
});

describe('misuse', () => {
  const runner: StorageSuiteRunner = { test: () => {}, equal: () => {} };

  test.each<[unknown, unknown, string]>([
    [undefined, { open: mapStorage }, 'Expected `runner.test` to be a function, got `undefined`'],
    [{ test: () => {} }, { open: mapStorage }, 'Expected `runner.equal` to be a function, got `undefined`'],
    [runner, undefined, 'Expected `open` to be a function that returns an empty storage tier, got `undefined`'],
    [
      runner,
      { open: mapStorage, supports: { sweep: 1 } },
      'Expected `supports.sweep` to be a boolean, got `1` (number)',
    ],
    [
      runner,
      { open: mapStorage, supports: { reopen: true } },
      'Expected `supports.reopen` to be a function, got `true` (boolean)',
    ],
    [runner, { open: mapStorage, supports: null }, 'Expected `supports` to be an object, got `null`'],
  ])('of %j, %j is a TypeError', (given, options, message) => {
    expect(() => storageSuite(given as StorageSuiteRunner, options as StorageSuiteOptions)).toThrow(
      new TypeError(message),
    );
  });

  test('of a capability that does not exist names those that do', () => {
    const supports = { sweeps: false } as StorageCapabilities;

    expect(() => storageSuite(runner, { open: mapStorage, supports })).toThrow(
      /^Expected `supports` to be made of references, anyKey, .*, reopen, got `'sweeps'`/,
    );
  });
});

/** Deletes every key that begins with the one it is given. */
function deletingByPrefix(): StorageTier {
  const keys = new Set<string>();
  return changed((base) => ({
    set: (key, entry, keepUntil) => (keys.add(key), base.set(key, entry, keepUntil)),
    delete: async (key) => {
      const held = await base.delete(key);
      for (const other of keys) if (other.startsWith(key)) await base.delete(other);
      return held;
    },
  }));
}

/** Writes an entry in two steps, between which others get in. */
function mixing(): StorageTier {
  let last: Entry | undefined;
  return changed((base) => ({
    set: async (key, entry, keepUntil) => {
      last = entry;
      await Promise.resolve();
      await base.set(key, { ...entry, meta: last.meta, value: last.value }, keepUntil);
    },
  }));
}

/** Keeps the newest `startedAt` of a key even when its entry is gone. */
function remembering(): StorageTier {
  const newest = new Map<string, number>();
  return changed((base) => ({
    set: (key, entry, keepUntil) => (newest.set(key, entry.startedAt), base.set(key, entry, keepUntil)),
    setIfNewer: async (key, entry, keepUntil) => {
      if ((newest.get(key) ?? 0) > entry.startedAt) return false;
      newest.set(key, entry.startedAt);
      await base.set(key, entry, keepUntil);
      return true;
    },
  }));
}

function without(tier: StorageTier, method: keyof StorageTier): StorageTier {
  return Object.fromEntries(Object.entries(tier).filter(([name]) => name !== method)) as unknown as StorageTier;
}

function keepingFirst(): StorageTier {
  const first = new Map<string, number>();
  return changed((base) => ({
    set: (key, entry, keepUntil) => {
      if (!first.has(key)) first.set(key, keepUntil);
      return base.set(key, entry, first.get(key)!);
    },
  }));
}

async function setMissing(base: StorageTier, { key, entry, keepUntil }: StorageWrite): Promise<void> {
  if ((await base.get(key)) === undefined) await base.set(key, entry, keepUntil);
}
