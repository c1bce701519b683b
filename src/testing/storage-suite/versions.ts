import type { StorageTier, VersionAnswer } from '../../contracts.js';
import type { Checks } from './checks.js';
import { HOSTILE_KEYS, PLAIN_KEYS } from './keys.js';
import { pictureOf, sampleEntry } from './samples.js';

const HOUR = 3_600_000;

/** `version` and `setIfVersion`: what a load brings never undoes a change that was made since it began. */
export function addVersionTests(checks: Checks): void {
  if (!checks.supports.version) return;
  addVersionReadingTests(checks);
  addLoadTests(checks);
  addConditionalChangeTests(checks);
}

function addVersionReadingTests(checks: Checks): void {
  checks.test('a version comes with the stored entry only if that is newer than the one known', async (tier) => {
    const now = checks.now();
    const entry = sampleEntry(now, { startedAt: now });
    await checks.set(tier, 'k', entry);
    for (const newerThan of [-Infinity, now - 1, now - 0.5])
      checks.equal(pictureOf((await ask(tier, 'k', newerThan)).entry), pictureOf(entry));
    for (const newerThan of [now, now + 1, Infinity]) checks.equal((await ask(tier, 'k', newerThan)).entry, undefined);
    checks.equal((await ask(tier, 'nothing there', -Infinity)).entry, undefined);
  });

  checks.test('a version stays the same for all who ask until the key is changed', async (tier) => {
    const [first, ...others] = await Promise.all(Array.from({ length: 5 }, () => ask(tier, 'k')));
    for (const { version } of [...others, await ask(tier, 'k')]) checks.equal(version, first!.version);
    checks.equal(await tier.get('k'), undefined);
  });
}

function addLoadTests(checks: Checks): void {
  const entryFrom = (startedAt: number, value: string) => sampleEntry(startedAt, { startedAt, value });
  const land = async (tier: StorageTier, key: string, version: string, age = 0): Promise<boolean> =>
    tier.setIfVersion!(key, entryFrom(checks.now() - age, 'loaded'), checks.now() + HOUR, version, false);

  checks.test('a load is stored under keys of any kind if nothing was changed', async (tier) => {
    for (const key of checks.supports.anyKey ? HOSTILE_KEYS : PLAIN_KEYS) {
      const entry = entryFrom(checks.now(), `value of ${key.length}`);
      const { version } = await ask(tier, key);
      checks.equal(await tier.setIfVersion!(key, entry, checks.now() + HOUR, version, false), true);
      await checks.holds(tier, key, entry);
    }
  });

  const changes: Readonly<Record<string, (tier: StorageTier) => unknown>> = {
    set: (tier) => checks.set(tier, 'k', entryFrom(checks.now() - 5_000, 'set')),
    delete: (tier) => tier.delete('k'),
    ...(checks.supports.setMany && {
      setMany: (tier) =>
        tier.setMany!([{ key: 'k', entry: entryFrom(checks.now() - 5_000, 'set'), keepUntil: checks.now() + HOUR }]),
    }),
    ...(checks.supports.deleteMany && { deleteMany: (tier) => tier.deleteMany!(['a', 'k']) }),
    ...(checks.supports.clear && { clear: (tier) => tier.clear!() }),
    'setIfVersion as a change': async (tier) => {
      const { version } = await ask(tier, 'k');
      const entry = entryFrom(checks.now() - 5_000, 'set');
      checks.equal(await tier.setIfVersion!('k', entry, checks.now() + HOUR, version, true), true);
    },
    'delete, and a load after it,': async (tier) => {
      await tier.delete('k');
      checks.equal(await land(tier, 'k', (await ask(tier, 'k')).version, 5_000), true);
    },
    'set and delete': async (tier) => {
      await checks.set(tier, 'k', entryFrom(checks.now(), 'set'));
      await tier.delete('k');
    },
  };
  for (const [name, change] of Object.entries(changes)) {
    for (const there of [false, true]) {
      checks.test(
        `a load that began before ${name} ${there ? 'of an entry' : 'where nothing was'} is refused`,
        async (tier) => {
          if (there) await checks.set(tier, 'k', entryFrom(checks.now() - 10_000, 'old'));
          const { version } = await ask(tier, 'k');
          await change(tier);
          const left = await tier.get('k');
          checks.equal(await land(tier, 'k', version), false);
          await checks.holds(tier, 'k', left);
        },
      );
    }
  }

  checks.test(
    'what another load brought alters no version: of two loads the one that began later stays',
    async (tier) => {
      const [{ version }, other] = await Promise.all([ask(tier, 'k'), ask(tier, 'k')]);
      // One instant for both: time goes on between the calls.
      const now = checks.now();
      const landFrom = async (startedAt: number, of: string): Promise<boolean> =>
        tier.setIfVersion!('k', entryFrom(startedAt, 'loaded'), now + HOUR, of, false);
      checks.equal(await landFrom(now - 10, other.version), true);
      checks.equal(await landFrom(now - 20, version), false);
      checks.equal(await land(tier, 'k', version), true);
      checks.equal((await ask(tier, 'k')).version, version);
    },
  );

  if (checks.supports.setIfNewer) {
    checks.test('setIfNewer alters no version', async (tier) => {
      const { version } = await ask(tier, 'k');
      await tier.setIfNewer!('k', entryFrom(checks.now() - 10, 'newer'), checks.now() + HOUR);
      checks.equal(await land(tier, 'k', version), true);
    });
  }

  if (checks.supports.sweep) {
    checks.test('a sweep between a load and its result does no harm', async (tier) => {
      const now = checks.now();
      await tier.set('k', entryFrom(now - 20, 'outlived'), now - 10);
      await ask(tier, 'k');
      await tier.sweep!(now, 100);
      const { version } = await ask(tier, 'k');
      checks.equal(await land(tier, 'k', version), true);
    });
  }
}

function addConditionalChangeTests(checks: Checks): void {
  const change = async (tier: StorageTier, version: string, value: string, age = 0): Promise<boolean> => {
    const startedAt = checks.now() - age;
    return tier.setIfVersion!('k', sampleEntry(startedAt, { startedAt, value }), checks.now() + HOUR, version, true);
  };

  checks.test('of many changes made of one version, one is stored', async (tier) => {
    const { version } = await ask(tier, 'k');
    const stored = await Promise.all(Array.from({ length: 10 }, (_, number) => change(tier, version, `${number}`)));
    checks.equal(stored.filter(Boolean).length, 1);
    checks.equal((await tier.get('k'))?.value, `${stored.indexOf(true)}`);
  });

  checks.test('a change replaces an entry whose load began later', async (tier) => {
    await checks.set(tier, 'k', sampleEntry(checks.now(), { startedAt: checks.now() + 500, value: 'from the future' }));
    checks.equal(await change(tier, (await ask(tier, 'k')).version, 'changed'), true);
    checks.equal((await tier.get('k'))?.value, 'changed');
  });

  checks.test('a version is never told again after a change', async (tier) => {
    const seen = new Set<string>();
    for (let round = 0; round < 20; round += 1) {
      const { version } = await ask(tier, 'k');
      checks.equal(seen.has(version), false);
      seen.add(version);
      if (round % 2 === 0) await checks.set(tier, 'k', sampleEntry(checks.now()));
      else await tier.delete('k');
    }
  });
}

async function ask(tier: StorageTier, key: string, newerThan = -Infinity): Promise<VersionAnswer> {
  return tier.version!(key, newerThan);
}
