import type { StorageTier } from '../../contracts.js';
import type { Checks } from './checks.js';
import { HOSTILE_KEYS, PLAIN_KEYS } from './keys.js';
import { sampleEntry } from './samples.js';

/** More than one page, whatever an adapter makes of a limit. */
const MANY = 250;
/** Longer keys may be stored under a hash. */
const LONGEST = 300;
/** A listing that goes round in circles ends here. */
const MOST_PAGES = 10_000;

/** `keys`, if it is supported. */
export function addKeysTests(checks: Checks): void {
  if (!checks.supports.keys) return;

  checks.test('keys of an empty tier are none', async (tier) => {
    checks.equal(await keysOf(tier, '', 10), []);
  });

  checks.test('keys tells each kind of key, by all prefixes of it and by no other', async (tier) => {
    const tried = checks.supports.anyKey ? HOSTILE_KEYS : PLAIN_KEYS;
    const keys = [...new Set(tried)].filter((key) => key.length <= LONGEST);
    for (const key of keys) await checks.set(tier, key, sampleEntry(checks.now()));
    checks.equal(await keysOf(tier, '', 7), [...keys].sort());
    // A listing may cost a search through everything, so one each.
    const prefixes = new Set(keys.map((key, index) => key.slice(0, 1 + (index % 3))));
    for (const prefix of [...prefixes, 'no key begins with this'])
      checks.equal(await keysOf(tier, prefix, 1_000), keys.filter((key) => key.startsWith(prefix)).sort());
  });

  checks.test('keys reach all pages, and takes what is special in patterns for what it is', async (tier) => {
    const special = ['a*b', 'a?b', 'a[b]', 'a%b', 'a_b', String.raw`a\b`, 'a^b', 'axb', 'a{b}', 'a}lease'];
    const many = Array.from({ length: MANY }, (_, number) => `many:${number}`);
    const keys = [...(checks.supports.anyKey ? special : []), ...many];
    for (const key of keys) await checks.set(tier, key, sampleEntry(checks.now()));
    for (const limit of [17, MANY, 10_000]) checks.equal(await keysOf(tier, 'many:', limit), [...many].sort());
    for (const prefix of keys.slice(0, special.length))
      checks.equal(await keysOf(tier, prefix, 1_000), keys.filter((key) => key.startsWith(prefix)).sort());
  });

  checks.test('keys that are there all the while are told, whatever goes between two pages', async (tier) => {
    const stay = Array.from({ length: MANY }, (_, number) => `stay-${number}`);
    const go = Array.from({ length: MANY }, (_, number) => `go-${number}`);
    for (const key of [...stay, ...go]) await checks.set(tier, key, sampleEntry(checks.now()));
    const told = await keysOf(tier, '', 20, async (page) => {
      for (const key of page.filter((each) => each.startsWith('go-'))) await tier.delete(key);
    });
    checks.equal(
      told.filter((key) => key.startsWith('stay-')),
      [...stay].sort(),
    );
  });

  checks.test('keys does not tell what was removed, nor what lies beside the entries', async (tier) => {
    const { version, lease } = checks.supports;
    for (const key of ['a', 'b']) await checks.set(tier, key, sampleEntry(checks.now()));
    if (version) await tier.version?.('c', 0);
    if (lease) await tier.lease?.('d', 10_000, 0);
    await tier.delete('a');
    checks.equal(await keysOf(tier, '', 10), ['b']);
  });
}

/** All keys with `prefix`, each once and sorted. `between` is called with each page. */
async function keysOf(
  tier: StorageTier,
  prefix: string,
  limit: number,
  between?: (page: readonly string[]) => Promise<void>,
): Promise<string[]> {
  const keys = new Set<string>();
  let cursor: string | undefined;
  for (let pages = 0; pages < MOST_PAGES; pages += 1) {
    const page = await tier.keys!({ prefix, limit, cursor });
    for (const key of page.keys) keys.add(key);
    cursor = page.cursor;
    if (cursor === undefined) return [...keys].sort();
    await between?.(page.keys);
  }
  throw new Error(`The listing has no end: ${MOST_PAGES} pages, and still a cursor`);
}
