import type { StorageTier } from '../../contracts.js';
import type { Entry } from '../../entry.js';
import { namespaced } from '../namespaced.js';
import type { Checks } from './checks.js';
import { sampleEntry } from './samples.js';

/** Paths and keys that a careless separator would mix up. No two mean the same entry. */
const LOOK_ALIKES: readonly (readonly [path: readonly string[], key: string])[] = [
  [[], 'k'],
  [[], '@/k'],
  [[], '@1:a/k'],
  [['a'], 'k'],
  [['a'], 'b:k'],
  [['a'], 'b/k'],
  [['a'], '/k'],
  [['a'], ''],
  [['a', 'b'], 'k'],
  [['a', 'b'], ''],
  [['b', 'a'], 'k'],
  [['ab'], 'k'],
  [['a:b'], 'k'],
  [['a/b'], 'k'],
  [['A'], 'k'],
  [[''], 'k'],
  [['', ''], 'k'],
  [['1'], ':a/k'],
  [['1:a'], 'k'],
];

/** Lengths at which storages begin to cut or to hash names, in which adapters put something before the keys. */
const LIMITS: readonly number[] = [0, 64, 128, 180, 250, 256, 512];
/** How far around a limit is tested, because of what adapters put before a key. */
const AROUND = 16;

/** Several namespaces side by side in one tier, and keys outside of any. */
export function addNamespaceTests(checks: Checks): void {
  const { supports } = checks;
  const pairs = supports.anyKey ? LOOK_ALIKES : LOOK_ALIKES.filter(([path, key]) => isPlain([...path, key]));

  checks.test('namespaces with look-alike names and keys do not see each other', async (tier) => {
    const places = pairs.map(([path, key]) => ({ part: namespaced(tier, path), key }));
    const now = checks.now();
    const entryAt = (index: number): Entry => sampleEntry(now, { value: index });
    for (const [index, { part, key }] of places.entries()) {
      await checks.holds(part, key, undefined);
      await checks.set(part, key, entryAt(index));
    }
    for (const [index, { part, key }] of places.entries()) await checks.holds(part, key, entryAt(index));
    for (const [index, { part, key }] of places.entries()) if (index % 2 === 0) await part.delete(key);
    for (const [index, { part, key }] of places.entries())
      await checks.holds(part, key, index % 2 === 0 ? undefined : entryAt(index));
  });

  checks.test('keys of all critical lengths stay apart, with a namespace before them and without', async (tier) => {
    const lengths = LIMITS.flatMap(around).filter((length) => supports.anyKey || length <= 80);
    const parts: readonly StorageTier[] = [tier, namespaced(tier, ['n'])];
    const now = checks.now();
    const entryAt = (length: number, part: number): Entry => sampleEntry(now, { value: [length, part] });
    for (const length of lengths)
      for (const [index, part] of parts.entries()) await checks.set(part, 'k'.repeat(length), entryAt(length, index));
    for (const length of lengths)
      for (const [index, part] of parts.entries()) await checks.holds(part, 'k'.repeat(length), entryAt(length, index));
  });

  if (supports.clear) {
    checks.test('clear of the tier reaches every namespace', async (tier) => {
      for (const [path, key] of pairs) await checks.set(namespaced(tier, path), key, sampleEntry(checks.now()));
      await tier.clear?.();
      for (const [path, key] of pairs) await checks.holds(namespaced(tier, path), key, undefined);
    });
  }
}

function around(limit: number): number[] {
  return Array.from({ length: 2 * AROUND }, (_, index) => limit - AROUND + index).filter((length) => length > 0);
}

function isPlain(names: readonly string[]): boolean {
  return names.every((name) => /^[a-z0-9]+$/.test(name));
}
