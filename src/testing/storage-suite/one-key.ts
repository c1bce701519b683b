import type { StorageTier } from '../../contracts.js';
import type { Entry } from '../../entry.js';
import { isSoloflightError } from '../../errors.js';
import type { Checks } from './checks.js';
import { HOSTILE_KEYS, PLAIN_KEYS } from './keys.js';
import { deepFreeze, FALSY_VALUES, META, ODD_VALUES, pictureOf, sampleEntry, TAG_LISTS } from './samples.js';

const MEGABYTE = 1_000_000;

/** `get` after `set`: entries come back as they were. */
export function addEntryTests(checks: Checks): void {
  const { supports } = checks;

  checks.test('get answers undefined for a key that was never set', async (tier) => {
    checks.equal(await tier.get('missing'), undefined);
  });

  checks.test('every field of an entry comes back', async (tier) => {
    const entry = sampleEntry(checks.now());
    await checks.set(tier, 'k', entry);
    await checks.holds(tier, 'k', entry);
    await checks.holds(tier, 'k', entry);
  });

  checks.test('fractions of a millisecond come back', async (tier) => {
    const now = checks.now();
    const entry = sampleEntry(now, {
      startedAt: now + 0.25,
      createdAt: now + 0.5,
      freshUntil: now + 1_000.75,
      staleUntil: now + 2_000.25,
      errorUntil: now + 3_000.5,
      loadMs: 0.125,
    });
    await tier.set('k', entry, now + 3_000.5);
    await checks.holds(tier, 'k', entry);
  });

  checks.test('falsy and empty values come back as they are', (tier) =>
    eachComesBack(checks, tier, 'value', FALSY_VALUES),
  );
  checks.test('odd numbers, text and nested data come back as they are', (tier) =>
    eachComesBack(checks, tier, 'value', ODD_VALUES),
  );
  checks.test('tags come back in number and order, whatever is in them', (tier) =>
    eachComesBack(checks, tier, 'tags', TAG_LISTS),
  );
  checks.test('meta comes back, undefined apart from null', (tier) => eachComesBack(checks, tier, 'meta', META));

  if (supports.infinity) {
    checks.test('instants of Infinity, and far ones, come back', async (tier) => {
      const endless = sampleEntry(checks.now(), { freshUntil: Infinity, staleUntil: Infinity, errorUntil: Infinity });
      const far = sampleEntry(checks.now(), { freshUntil: 2 ** 53, staleUntil: 2 ** 63, errorUntil: 1e21 });
      await tier.set('endless', endless, Infinity);
      await tier.set('far', far, 1e21);
      await checks.holds(tier, 'endless', endless);
      await checks.holds(tier, 'far', far);
    });
  }

  if (supports.absent) {
    checks.test('an entry without a value is an entry, apart from null and from nothing', async (tier) => {
      const absent = sampleEntry(checks.now(), { value: undefined });
      const nothing = sampleEntry(checks.now(), { value: null });
      await checks.set(tier, 'absent', absent);
      await checks.set(tier, 'null', nothing);
      await checks.holds(tier, 'absent', absent);
      await checks.holds(tier, 'null', nothing);
      checks.equal(await tier.get('missing'), undefined);
    });
  }

  if (supports.largeValues) {
    checks.test('a value of a megabyte comes back', async (tier) => {
      const entry = sampleEntry(checks.now(), { value: { text: 'é-0123456'.repeat(MEGABYTE / 10) } });
      await checks.set(tier, 'k', entry);
      // Not shown: nobody wants to read a megabyte twice.
      const read = await tier.get('k');
      checks.equal((read?.value as { text: string } | undefined)?.text.length, MEGABYTE * 0.9);
      checks.equal((read?.value as { text: string }).text === (entry.value as { text: string }).text, true);
    });
  }

  if (supports.binary) {
    checks.test('bytes come back as a Uint8Array', async (tier) => {
      const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
      for (const bytes of [all, all.subarray(100, 200), new Uint8Array(0)]) {
        await checks.set(tier, 'k', sampleEntry(checks.now(), { value: bytes }));
        const value = (await tier.get('k'))?.value;
        checks.equal(value instanceof Uint8Array, true);
        checks.equal([...(value as Uint8Array)], [...bytes]);
      }
    });
  }

  if (supports.references === true) {
    checks.test('values come back as the same objects', async (tier) => {
      const value = { call: (): string => 'called', map: new Map([[1, NaN]]) };
      await checks.set(tier, 'k', sampleEntry(checks.now(), { value }));
      checks.equal((await tier.get('k'))?.value === value, true);
    });
  }

  if (supports.references === false) {
    checks.test('a change to a value does not reach the stored one', async (tier) => {
      const value = { list: [1] };
      await checks.set(tier, 'k', sampleEntry(checks.now(), { value }));
      value.list.push(2);
      checks.equal((await tier.get('k'))?.value, { list: [1] });
      ((await tier.get('k'))?.value as typeof value).list.push(3);
      checks.equal((await tier.get('k'))?.value, { list: [1] });
    });
  }
}

/** `set` and `delete` where something is stored already. */
export function addChangeTests(checks: Checks): void {
  checks.test('set replaces an entry as a whole', async (tier) => {
    const now = checks.now();
    const replacement = sampleEntry(now, {
      value: 'new',
      freshUntil: now + 1,
      staleUntil: now + 2,
      errorUntil: now + 3,
      loadMs: 0,
      tags: [],
      meta: undefined,
    });
    await checks.set(tier, 'k', sampleEntry(now));
    await checks.set(tier, 'k', replacement);
    await checks.holds(tier, 'k', replacement);
  });

  checks.test('set replaces an entry that claims to be newer', async (tier) => {
    const now = checks.now();
    const older = sampleEntry(now, { value: 'older', startedAt: now - 60_000 });
    await checks.set(tier, 'k', sampleEntry(now));
    await checks.set(tier, 'k', older);
    await checks.holds(tier, 'k', older);
  });

  checks.test('delete removes the entry of its key alone', async (tier) => {
    const entry = sampleEntry(checks.now());
    for (const key of ['a', 'ab', 'b']) await checks.set(tier, key, entry);
    await tier.delete('a');
    await checks.holds(tier, 'a', undefined);
    await checks.holds(tier, 'ab', entry);
    await checks.holds(tier, 'b', entry);
  });

  checks.test('a deleted key can be set again', async (tier) => {
    const again = sampleEntry(checks.now(), { value: 'again' });
    await checks.set(tier, 'k', sampleEntry(checks.now()));
    await tier.delete('k');
    await checks.set(tier, 'k', again);
    await checks.holds(tier, 'k', again);
  });

  checks.test('delete of a key that is not there is no error, and claims nothing', async (tier) => {
    checks.equal((await tier.delete('missing')) === true, false);
    await checks.set(tier, 'k', sampleEntry(checks.now()));
    checks.equal((await tier.delete('k')) === false, false);
    checks.equal((await tier.delete('k')) === true, false);
  });

  if (checks.supports.deleteReports) {
    checks.test('delete tells whether the key was there', async (tier) => {
      await checks.set(tier, 'k', sampleEntry(checks.now()));
      checks.equal(await tier.delete('k'), true);
      checks.equal(await tier.delete('k'), false);
      checks.equal(await tier.delete('missing'), false);
    });
  }

  checks.test('entries are not changed by the adapter', async (tier) => {
    const entry = sampleEntry(checks.now());
    const before = pictureOf(structuredClone(entry));
    await checks.set(tier, 'k', entry);
    await tier.get('k');
    await tier.setIfNewer?.('k', entry, checks.now() + 1_000);
    await tier.setMany?.([{ key: 'k', entry, keepUntil: checks.now() + 1_000 }]);
    await tier.delete('k');
    checks.equal(pictureOf(entry), before);
  });

  checks.test('deeply frozen entries are taken', async (tier) => {
    const entry = deepFreeze(sampleEntry(checks.now()));
    await checks.set(tier, 'k', entry);
    await tier.setIfNewer?.('k', entry, checks.now() + 1_000);
    await tier.setMany?.(deepFreeze([{ key: 'k', entry, keepUntil: checks.now() + 1_000 }]));
    await checks.holds(tier, 'k', entry);
  });
}

/** Keys are data, and stay apart. */
export function addKeyTests(checks: Checks): void {
  const keys = checks.supports.anyKey ? HOSTILE_KEYS : PLAIN_KEYS;
  const kind = checks.supports.anyKey ? 'keys of any kind' : 'plain keys';
  const entryAt = (now: number, index: number): Entry => sampleEntry(now, { value: index });

  checks.test(`${kind} never collide`, async (tier) => {
    const now = checks.now();
    for (const [index, key] of keys.entries()) {
      await checks.holds(tier, key, undefined);
      await checks.set(tier, key, entryAt(now, index));
    }
    for (const [index, key] of keys.entries()) await checks.holds(tier, key, entryAt(now, index));
  });

  checks.test(`${kind} are deleted one by one`, async (tier) => {
    const now = checks.now();
    for (const [index, key] of keys.entries()) await checks.set(tier, key, entryAt(now, index));
    for (const [index, key] of keys.entries()) if (index % 2 === 0) await tier.delete(key);
    for (const [index, key] of keys.entries())
      await checks.holds(tier, key, index % 2 === 0 ? undefined : entryAt(now, index));
  });
}

/** Calls that overlap. */
export function addConcurrencyTests(checks: Checks): void {
  checks.test('overlapping calls for different keys do not disturb each other', async (tier) => {
    const now = checks.now();
    const numbers = Array.from({ length: 50 }, (_, number) => number);
    await Promise.all(numbers.map((number) => checks.set(tier, `k${number}`, sampleEntry(now, { value: number }))));
    await Promise.all(
      numbers.map(async (number) => {
        if (number % 2 === 0) await tier.delete(`k${number}`);
        else await checks.set(tier, `k${number}`, sampleEntry(now, { value: -number }));
      }),
    );
    await Promise.all(
      numbers.map((number) =>
        checks.holds(tier, `k${number}`, number % 2 === 0 ? undefined : sampleEntry(now, { value: -number })),
      ),
    );
  });

  const { atomicSet } = checks.supports;
  const left = atomicSet ? 'one of them, whole' : 'one of them, whole, or what says that it is not';
  checks.test(`overlapping writes of one key leave ${left}`, async (tier) => {
    const now = checks.now();
    const entryOf = (number: number): Entry =>
      sampleEntry(now, {
        value: number,
        startedAt: now - number,
        loadMs: number,
        freshUntil: now + 1_000 + number,
        tags: [`t${number}`],
        meta: { number },
      });
    await Promise.all(Array.from({ length: 20 }, (_, number) => checks.set(tier, 'k', entryOf(number))));
    try {
      const kept = await tier.get('k');
      await checks.holds(tier, 'k', entryOf(kept?.value as number));
    } catch (error) {
      if (atomicSet || !isSoloflightError(error, 'SOLOFLIGHT_UNDECODABLE')) throw error;
    }
  });
}

/** Stores each of `parts` as `field` of an entry of its own, and then reads them all. */
async function eachComesBack(
  checks: Checks,
  tier: StorageTier,
  field: 'value' | 'tags' | 'meta',
  parts: readonly unknown[],
): Promise<void> {
  const entries = parts.map((part) => sampleEntry(checks.now(), { [field]: part }));
  for (const [index, entry] of entries.entries()) await checks.set(tier, `k${index}`, entry);
  for (const [index, entry] of entries.entries()) await checks.holds(tier, `k${index}`, entry);
}
