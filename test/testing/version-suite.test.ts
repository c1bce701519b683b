import assert from 'node:assert/strict';

import { describe, expect, test } from 'vitest';

import { defineStorage, mapStorage, type Entry, type StorageAdapter, type StorageTier } from '../../src/index.js';
import { storageSuite } from '../../src/testing/index.js';

type Versioned = Required<Omit<StorageAdapter, 'lease' | 'onLeaseEnd'>>;

/** A working adapter with versions, of which `changes` replaces some methods. */
function changed(changes: (base: Versioned) => Partial<StorageAdapter>): () => StorageTier {
  return () => {
    const base = mapStorage() as unknown as Versioned;
    return defineStorage({ ...base, ...changes(base) });
  };
}

/** The names of the tests of versions, outside of a namespace, that an adapter fails. */
async function failuresOf(open: () => StorageTier): Promise<string[]> {
  const failures: string[] = [];
  for (const [name, run] of tests(open, true)) await run().catch(() => failures.push(name));
  return failures.filter((name) => NAMES.has(name));
}

function tests(open: () => StorageTier, version: boolean): Map<string, () => Promise<void>> {
  const all = new Map<string, () => Promise<void>>();
  const runner = {
    test: (name: string, run: () => Promise<void>) => all.set(name, run),
    equal: assert.deepStrictEqual,
  };
  storageSuite(runner, { open, supports: { version } });
  return all;
}

const NAMES = new Set(
  [...tests(mapStorage, true).keys()].filter(
    (name) => !tests(mapStorage, false).has(name) && !name.startsWith('in a namespace'),
  ),
);

const from = (entry: Entry, startedAt: number): Entry => ({ ...entry, startedAt });

describe('an adapter whose versions', () => {
  test('are sound passes', async () => {
    expect(NAMES.size).toBeGreaterThan(20);
    expect(await failuresOf(changed(() => ({})))).toEqual([]);
  });

  const broken: readonly [string, () => StorageTier, RegExp][] = [
    [
      'come with an entry that is known',
      changed((base) => ({ version: (key) => base.version(key, -Infinity) })),
      /only if that is newer/,
    ],
    [
      'come without the entry',
      changed((base) => ({ version: (key) => base.version(key, Infinity) })),
      /only if that is newer/,
    ],
    [
      'differ from one question to the next',
      changed((base) => {
        let asked = 0;
        const version = (key: string, newerThan: number) => {
          const answer = base.version(key, newerThan) as { version: string };
          return { ...answer, version: `${answer.version}/${(asked += 1)}` };
        };
        return {
          version,
          setIfVersion: (key, entry, until, given, change) =>
            base.setIfVersion(key, entry, until, given.replace(/\/.*/, ''), change),
        };
      }),
      /stays the same for all who ask/,
    ],
    ['refuse everything', changed(() => ({ setIfVersion: () => false })), /stored under keys of any kind/],
    [
      'are not compared',
      changed((base) => ({
        setIfVersion: async (key, entry, until, _version, change) =>
          base.setIfVersion(key, entry, until, (await base.version(key, Infinity)).version, change),
      })),
      /began before delete where nothing was is refused/,
    ],
    ...(['set', 'delete', 'setMany', 'deleteMany', 'clear'] as const).map(
      (method): [string, () => StorageTier, RegExp] => [
        `are not altered by ${method}`,
        () => {
          const base = mapStorage() as unknown as Versioned;
          let quiet = false;
          let kept: string | undefined;
          const version: Versioned['version'] = async (key, newerThan) => {
            const answer = await base.version(key, newerThan);
            if (quiet && kept !== undefined) return { ...answer, version: kept };
            kept = answer.version;
            return answer;
          };
          const setIfVersion: Versioned['setIfVersion'] = async (key, entry, until, given, change) => {
            const current = (await base.version(key, Infinity)).version;
            return base.setIfVersion(key, entry, until, quiet && given === kept ? current : given, change);
          };
          const damaged = (...args: never[]): unknown => {
            quiet = true;
            return (base[method] as (...args: never[]) => unknown)(...args);
          };
          return defineStorage({ ...base, version, setIfVersion, [method]: damaged });
        },
        new RegExp(`began before ${method} `),
      ],
    ),
    [
      'are not altered by a conditional change',
      changed((base) => ({
        setIfVersion: async (key, entry, until, version, change) => {
          const stored = (await base.get(key))?.startedAt ?? 0;
          const same = (await base.version(key, Infinity)).version === version;
          if (!same || (!change && stored > entry.startedAt)) return false;
          return base.setIfNewer(key, from(entry, Math.max(stored, entry.startedAt)), until);
        },
      })),
      /of many changes made of one version/,
    ],
    [
      'are altered by what a load brings',
      changed((base) => ({
        setIfVersion: async (key, entry, until, version, change) => {
          const stored = (await base.get(key))?.startedAt ?? -Infinity;
          if (!change && stored > entry.startedAt) return false;
          return base.setIfVersion(key, entry, until, version, true);
        },
      })),
      /alters no version: of two loads/,
    ],
    [
      'are altered by setIfNewer',
      changed((base) => ({
        setIfNewer: async (key, entry, until) => {
          await base.set(key, entry, until);
          return true;
        },
      })),
      /setIfNewer alters no version/,
    ],
    [
      'let an older load replace a newer one',
      changed((base) => ({
        setIfVersion: (key, entry, until, version, change) =>
          base.setIfVersion(key, change ? entry : from(entry, Number.MAX_SAFE_INTEGER), until, version, change),
      })),
      /of two loads the one that began later stays/,
    ],
    [
      'keep a change out for a newer entry',
      changed((base) => ({
        setIfVersion: async (key, entry, until, version, change) =>
          ((await base.get(key))?.startedAt ?? 0) <= entry.startedAt &&
          base.setIfVersion(key, entry, until, version, change),
      })),
      /a change replaces an entry/,
    ],
    [
      'come back',
      changed((base) => {
        const short = (version: string): string => String(Number(version.split('.')[1]) % 3);
        return {
          version: async (key, newerThan) => {
            const answer = await base.version(key, newerThan);
            return { ...answer, version: short(answer.version) };
          },
        };
      }),
      /never told again/,
    ],
    [
      'are forgotten by a sweep',
      changed((base) => ({
        sweep: async (now, limit) => (await base.sweep(now, limit), (await base.clear(), 0)),
        version: async (key) => base.version(key, Infinity),
        setIfVersion: (key, entry, until, version, change) =>
          version === '0.0' && base.setIfVersion(key, entry, until, version, change),
      })),
      /a sweep between/,
    ],
  ];

  test.each(broken)('%s fails', async (_, open, name) => {
    expect(await failuresOf(open)).toContainEqual(expect.stringMatching(name));
  });

  test('are broken in any way tested for are found by some test each', async () => {
    const caught = new Set<string>();
    for (const [, open] of broken) for (const name of await failuresOf(open)) caught.add(name);

    expect([...NAMES].filter((name) => !caught.has(name))).toEqual([]);
  });
});
