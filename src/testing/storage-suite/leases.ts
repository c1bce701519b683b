import type { Lease, LeaseAnswer, StorageTier } from '../../contracts.js';
import type { Entry } from '../../entry.js';
import type { Checks } from './checks.js';
import { HOSTILE_KEYS, PLAIN_KEYS } from './keys.js';
import { sampleEntry } from './samples.js';

/** Longer than any test takes. */
const LONG = 60_000;
const SHORT = 50;
const HOUR = 3_600_000;

/** Longer than a storage says that a load has ended, milliseconds. */
const A_MOMENT = 500;

/** `lease`: one at a time, atomic with a look at the entry, and of no use once it has ended. */
export function addLeaseTests(checks: Checks): void {
  if (!checks.supports.lease) return;
  addTakingTests(checks);
  addStoringTests(checks);
  addVoidingTests(checks);
  if (checks.supports.leaseOpen) addOpenTests(checks);
}

function addTakingTests(checks: Checks): void {
  checks.test('of many who ask for a lease at once, one gets it', async (tier) => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(tier, 'k')));
    checks.equal(answers.map(({ kind }) => kind).toSorted(), [...held(19), 'lease']);
  });

  checks.test('leases on different keys, of any kind, are independent', async (tier) => {
    const keys = checks.supports.anyKey ? HOSTILE_KEYS : PLAIN_KEYS;
    const leases: Lease[] = [];
    for (const key of keys) leases.push(await take(tier, key));
    checks.equal(new Set(leases.map(({ token }) => token)).size, keys.length);
    for (const key of keys) {
      checks.equal(await tier.get(key), undefined);
      checks.equal((await ask(tier, key)).kind, 'held');
    }
  });

  checks.test('who asks for a lease gets the entry instead if it is newer than the one known', async (tier) => {
    const now = checks.now();
    const entry = sampleEntry(now, { startedAt: now });
    await checks.set(tier, 'k', entry);
    for (const newerThan of [-Infinity, now - 1, now - 0.5]) {
      const answer = await ask(tier, 'k', LONG, newerThan);
      checks.equal(answer.kind === 'entry' ? answer.entry : answer.kind, entry);
    }
  });

  checks.test('an entry that is known already is no reason to refuse a lease', async (tier) => {
    const now = checks.now();
    await checks.set(tier, 'k', sampleEntry(now, { startedAt: now }));
    checks.equal((await ask(tier, 'k', LONG, now)).kind, 'lease');
  });

  checks.test('a lease ends when its time is over, and stores nothing any more', async (tier) => {
    const lease = await take(tier, 'k', SHORT);
    const next = await eventually(tier, 'k');
    checks.equal(next.token === lease.token, false);
    checks.equal(await lease.store(sampleEntry(checks.now()), checks.now() + HOUR), false);
    checks.equal(await lease.renew(LONG), false);
    await lease.release();
    checks.equal((await ask(tier, 'k')).kind, 'held');
    await checks.holds(tier, 'k', undefined);
  });

  checks.test('a lease that is renewed goes on', async (tier) => {
    const lease = await take(tier, 'k', LONG);
    checks.equal(await lease.renew(SHORT), true);
    await eventually(tier, 'k', SHORT);
    const ms = await renewInTime(tier, 'k', LONG);
    const other = await take(tier, 'other', ms * 2);
    await eventually(tier, 'other');
    checks.equal((await ask(tier, 'k')).kind, 'held');
    checks.equal(await other.renew(LONG), false);
  });

  checks.test('a lease that was released can be taken again', async (tier) => {
    const lease = await take(tier, 'k');
    await lease.release();
    const next = await take(tier, 'k');
    await lease.release();
    checks.equal((await ask(tier, 'k')).kind, 'held');
    checks.equal(await next.renew(LONG), true);
  });
}

function addStoringTests(checks: Checks): void {
  checks.test('an entry stored with its lease is there, and ends the lease', async (tier) => {
    const entry = sampleEntry(checks.now());
    const lease = await take(tier, 'k');
    checks.equal(await lease.store(entry, checks.now() + HOUR), true);
    await checks.holds(tier, 'k', entry);
    checks.equal(await lease.store(sampleEntry(checks.now()), checks.now() + HOUR), false);
    checks.equal((await ask(tier, 'k', LONG, entry.startedAt)).kind, 'lease');
  });

  checks.test('an entry stored with a lease does not replace a newer one', async (tier) => {
    const now = checks.now();
    const newer = sampleEntry(now, { startedAt: now, value: 'newer' });
    const lease = await take(tier, 'k');
    await tier.setIfNewer?.('k', newer, now + HOUR);
    const stored = await lease.store(sampleEntry(now, { startedAt: now - 1, value: 'older' }), now + HOUR);
    if (!checks.supports.setIfNewer) return;
    checks.equal(stored, false);
    await checks.holds(tier, 'k', newer);
  });

  checks.test('who waits for the end of a lease may be told, and can stop listening', async (tier) => {
    const stop = tier.onLeaseEnd?.('k', () => {});
    const lease = await take(tier, 'k');
    await ask(tier, 'k');
    await lease.release();
    stop?.();
    stop?.();
  });
}

function addVoidingTests(checks: Checks): void {
  const later = (entry: Entry): Entry => ({ ...entry, value: 'from the load', startedAt: entry.startedAt + 5_000 });
  const ends: readonly [string, (tier: StorageTier, entry: Entry) => Promise<unknown>, boolean][] = [
    ['delete', async (tier) => tier.delete('k'), true],
    ['set', (tier, entry) => checks.set(tier, 'k', entry), true],
    ['deleteMany', async (tier) => tier.deleteMany?.(['other', 'k']), checks.supports.deleteMany],
    [
      'setMany',
      async (tier, entry) => tier.setMany?.([{ key: 'k', entry, keepUntil: checks.now() + HOUR }]),
      checks.supports.setMany,
    ],
    ['clear', async (tier) => tier.clear?.(), checks.supports.clear],
  ];
  for (const [name, end, supported] of ends) {
    if (!supported) continue;
    checks.test(`${name} ends the lease: what was loaded before is not stored after it`, async (tier) => {
      const entry = sampleEntry(checks.now());
      const lease = await take(tier, 'k');
      await end(tier, entry);
      checks.equal(await lease.store(later(entry), checks.now() + HOUR), false);
      checks.equal(await lease.renew(LONG), false);
      await checks.holds(tier, 'k', name.startsWith('set') ? entry : undefined);
      checks.equal((await ask(tier, 'k', LONG, entry.startedAt)).kind, 'lease');
    });
  }
}

/** After a load without an entry, those who waited load all at once. */
function addOpenTests(checks: Checks): void {
  checks.test(
    'all who ask just after a load without an entry are told to go ahead, and nobody for long',
    async (tier) => {
      const lease = await take(tier, 'k');
      checks.equal((await ask(tier, 'k')).kind, 'held');
      const began = checks.now();
      await lease.release(true);
      const kinds = await Promise.all(Array.from({ length: 5 }, async () => (await ask(tier, 'k', SHORT)).kind));
      // On a busy machine the moment may be over.
      if (checks.now() < began + A_MOMENT)
        checks.equal(
          kinds,
          kinds.map(() => 'open'),
        );
      await eventually(tier, 'k');
      checks.equal((await ask(tier, 'k')).kind, 'held');
    },
  );

  checks.test('an entry comes before the word that a load has ended without one', async (tier) => {
    const entry = sampleEntry(checks.now());
    const lease = await take(tier, 'k');
    await lease.release(true);
    await checks.set(tier, 'k', entry);
    checks.equal((await ask(tier, 'k')).kind, 'entry');
  });

  checks.test('only the holder of a lease can tell that its load has ended', async (tier) => {
    const former = await take(tier, 'k');
    await tier.delete('k');
    const lease = await take(tier, 'k');
    await former.release(true);
    checks.equal((await ask(tier, 'k')).kind, 'held');
    checks.equal(await lease.renew(LONG), true);
  });

  checks.test('what was loaded under a lease whose load was said to have ended is not stored', async (tier) => {
    const lease = await take(tier, 'k');
    await lease.release(true);
    checks.equal(await lease.store(sampleEntry(checks.now()), checks.now() + HOUR), false);
    checks.equal(await lease.renew(LONG), false);
    await checks.holds(tier, 'k', undefined);
  });
}

async function ask(tier: StorageTier, key: string, ms = LONG, newerThan = -Infinity): Promise<LeaseAnswer> {
  return tier.lease!(key, ms, newerThan);
}

async function take(tier: StorageTier, key: string, ms = LONG): Promise<Lease> {
  const answer = await ask(tier, key, ms);
  if (answer.kind !== 'lease')
    throw new Error(`The lease on ${JSON.stringify(key)} could not be taken: ${answer.kind}`);
  return answer.lease;
}

/** Takes the lease on `key` as soon as the one before has ended. */
async function eventually(tier: StorageTier, key: string, ms = LONG): Promise<Lease> {
  for (;;) {
    const answer = await ask(tier, key, ms);
    if (answer.kind === 'lease') return answer.lease;
  }
}

/**
 * Takes the lease on `key` for a short time and renews it for `ms`. Resolves with the short time.
 *
 * On a busy machine the short time may be over before the renewal arrives, which is then refused rightly. The next try
 * takes more time.
 */
async function renewInTime(tier: StorageTier, key: string, ms: number): Promise<number> {
  for (let short = SHORT; short < 5_000; short *= 2) {
    const lease = await eventually(tier, key, short);
    if (await lease.renew(ms)) return short;
  }
  throw new Error(`The lease on ${JSON.stringify(key)} was never renewed`);
}

function held(count: number): string[] {
  return Array.from({ length: count }, () => 'held');
}
