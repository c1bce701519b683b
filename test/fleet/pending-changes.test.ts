import { afterEach, describe, expect, test } from 'vitest';

import type { BackplaneMessage } from '../../src/contracts.js';
import { Outgoing } from '../../src/fleet/outgoing.js';
import { defineStorage, mapStorage, requestScope, type StorageTier } from '../../src/index.js';
import { manualClock, type ManualClock } from '../../src/testing/index.js';
import { settle, setupCache } from '../support/setup-cache.ts';
import { unversioned } from '../support/unversioned.ts';
import { wire } from '../support/wire.ts';

/** How deletions go of keys that begin with a letter. */
type Deletions = Record<string, () => Promise<unknown>>;

const FAIL = (): Promise<never> => Promise.reject(new Error('away'));
const hanging: ((reason: unknown) => void)[] = [];
const HANG = (): Promise<never> => new Promise((_, reject) => hanging.push(reject));

function endHangs(): void {
  for (const end of hanging.splice(0)) end(new Error('over'));
}

afterEach(endHangs);

/** `stored`, as a process sees it whose deletions may fail. */
function troubled(stored: StorageTier, deletions: Deletions): StorageTier {
  return defineStorage({
    ...unversioned(stored),
    delete: async (key) => {
      await deletions[key.at(-1)!]?.();
      return stored.delete(key);
    },
    deleteMany: undefined as never,
  });
}

/** Two processes over as many storages as `troubles` has rows, one of which has trouble with deletions. */
function setup(...troubles: Deletions[]) {
  const clock = manualClock({ random: () => 0.999 });
  const channel = wire();
  const stored = troubles.map(() => unversioned(mapStorage()));
  const common = { clock, ttl: '1h', clockSkew: 0 } as const;
  const here = setupCache({
    ...common,
    backplane: channel.plug(),
    storage: stored.map((each, index) => troubled(each, troubles[index]!)),
  });
  const there = setupCache({ ...common, backplane: channel.plug(), storage: stored });
  return { clock, channel, stored, here, there };
}

async function fill({ cache, upstream }: ReturnType<typeof setup>['here'], clock: ManualClock, keys: string[]) {
  for (const key of keys) {
    const reading = cache.get(key);
    await settle();
    upstream.calls.at(-1)!.resolve('old');
    await reading;
  }
  await cache.idle();
  clock.advance(10);
}

function pendingKeys(sent: readonly BackplaneMessage[]): readonly string[] {
  return sent.flatMap(({ pending, keys = [] }) => (pending === true ? keys : []));
}

function takenKeys(sent: readonly BackplaneMessage[]): readonly string[] {
  return sent.flatMap(({ pending, keys = [] }) => (pending === true ? [] : keys));
}

describe('a change that storage missed', () => {
  test('is told apart from those that it took, of one call', async () => {
    const { here, clock, channel } = setup({ m: FAIL });
    await fill(here, clock, ['m', 't']);

    await here.cache.invalidate(['m', 't']);

    expect(pendingKeys(channel.sent)).toEqual(['m']);
    expect(takenKeys(channel.sent)).toEqual(['t']);
  });

  test('is told apart from those that it took, of one turn', async () => {
    const { channel } = setup();
    const outgoing = new Outgoing({
      backplane: channel.plug(),
      origin: () => 'o',
      clock: manualClock(),
      timeout: 1_000,
      mayVanish: false,
      report: () => {},
    });
    const news = { kind: 'invalidate', at: 1, space: [] } as const;

    await Promise.all([
      outgoing.tell({ ...news, keys: ['a'] }),
      outgoing.tell({ ...news, keys: ['b'], pending: true }),
      outgoing.tell({ ...news, keys: ['c'] }),
    ]);

    expect(pendingKeys(channel.sent)).toEqual(['b']);
    expect(takenKeys(channel.sent)).toEqual(['a', 'c']);
  });

  test('is not told as missed if storage took it while others of the call were being tried', async () => {
    const deletions: Deletions = { m: FAIL, s: HANG };
    const { here, clock, channel } = setup(deletions);
    const changing = here.cache.invalidate(['m', 's']);
    await settle();
    delete deletions['m'];

    await clock.advanceAsync(6_000);
    await changing;

    expect(pendingKeys(channel.sent)).toEqual(['s']);
    expect(takenKeys(channel.sent)).toEqual(['m']);
    delete deletions['s'];
    // The replay that hangs ends, and the next one begins.
    await clock.advanceAsync(7_000);
    expect(takenKeys(channel.sent)).toEqual(['m', 's']);
  });

  test('is told again only when all storages have taken it that missed it', async () => {
    const [near, far]: Deletions[] = [{ m: FAIL }, { m: FAIL }];
    const { here, there, clock, channel } = setup(near!, far!);
    await fill(here, clock, ['m']);
    expect(await there.cache.getIfCached('m')).toBe('old');
    await here.cache.invalidate('m');
    expect(pendingKeys(channel.sent)).toEqual(['m']);

    delete near!['m'];
    await clock.advanceAsync(3_000);

    expect(takenKeys(channel.sent)).toEqual([]);
    expect(await there.cache.getIfCached('m')).toBeUndefined();
    delete far!['m'];
    await clock.advanceAsync(3_000);
    expect(takenKeys(channel.sent)).toEqual(['m']);
  });

  test('is not told as taken while another change of the key is missing in another storage', async () => {
    const [near, far]: Deletions[] = [{ m: FAIL }, {}];
    const { here, there, clock, channel, stored } = setup(near!, far!);
    await fill(here, clock, ['m']);
    expect(await there.cache.getIfCached('m')).toBe('old');
    const old = (await stored[1]!.get('m'))!;
    await here.cache.invalidate('m');
    // A load of another process, which began before.
    await stored[1]!.set('m', old, Infinity);
    far!['m'] = FAIL;
    await here.cache.invalidate('m');
    expect(pendingKeys(channel.sent)).toEqual(['m', 'm']);

    delete near!['m'];
    await clock.advanceAsync(3_000);

    expect(takenKeys(channel.sent)).toEqual([]);
    expect(await there.cache.getIfCached('m')).toBeUndefined();
    delete far!['m'];
    await clock.advanceAsync(3_000);
    expect(takenKeys(channel.sent)).toContain('m');
    expect(await there.cache.getIfCached('m')).toBeUndefined();
  });

  test.each(['fails', 'hangs'] as const)(
    'is told again in a plain Worker, by the request that finds storage well again (it %s)',
    async (trouble) => {
      const deletions: Deletions = { m: trouble === 'fails' ? FAIL : HANG };
      const clock = manualClock({ random: () => 0.999 });
      const channel = wire();
      const stored = unversioned(mapStorage());
      const common = { clock, ttl: '1h', clockSkew: 0 } as const;
      const storage = troubled(stored, deletions);
      const here = setupCache({ ...common, backplane: channel.plug(), storage, scope: requestScope() });
      const there = setupCache({ ...common, backplane: channel.plug(), storage: stored });
      await fill(here, clock, ['m']);
      expect(await there.cache.getIfCached('m')).toBe('old');
      const changing = here.cache.invalidate('m');
      await clock.advanceAsync(5_000);
      await changing;
      expect([pendingKeys(channel.sent), takenKeys(channel.sent)]).toEqual([['m'], []]);

      delete deletions['m'];
      endHangs();
      await clock.advanceAsync(6_000);
      await here.cache.getIfCached('other');
      await settle();

      expect(takenKeys(channel.sent)).toEqual(['m']);
      expect(await there.cache.getIfCached('m')).toBeUndefined();
      await here.cache.getIfCached('other');
      await clock.advanceAsync(6_000);
      expect(takenKeys(channel.sent)).toEqual(['m']);
    },
  );

  test('is not told twice in a plain Worker whose storage took it at once', async () => {
    const clock = manualClock();
    const channel = wire();
    const here = setupCache({
      clock,
      ttl: '1h',
      backplane: channel.plug(),
      storage: mapStorage(),
      scope: requestScope(),
    });

    await here.cache.invalidate('m');
    await settle();

    expect([pendingKeys(channel.sent), takenKeys(channel.sent)]).toEqual([[], ['m']]);
  });

  test('is told again although its caller was let go before its own attempt', async () => {
    const hangs = { current: true };
    const stored = unversioned(mapStorage());
    const clock = manualClock();
    const channel = wire();
    const storage = defineStorage({
      ...unversioned(stored),
      setIfNewer: undefined as never,
      set: (...write) => (hangs.current ? HANG() : stored.set(...write)),
      delete: (key) => new Promise((resolve) => clock.after(500, () => resolve(stored.delete(key)))),
      deleteMany: undefined as never,
    });
    const { cache } = setupCache({ clock, backplane: channel.plug(), storage });
    void cache.set('k', 'new');
    await clock.advanceAsync(100);

    const changing = cache.invalidate('k');
    await clock.advanceAsync(5_100);
    await changing;
    expect(pendingKeys(channel.sent)).toContain('k');
    const told = channel.sent.length;
    await clock.advanceAsync(5_000);

    expect(takenKeys(channel.sent.slice(told))).toContain('k');
    endHangs();
    await clock.advanceAsync(1_000);
  });
});

describe('the doubt in a key', () => {
  const change = { kind: 'invalidate', keys: ['k'], space: [] } as const;

  async function doubting() {
    const parts = setup({});
    const { there, clock } = parts;
    await fill(there, clock, ['k']);
    const now = clock.now();
    parts.channel.deliver({ ...change, origin: 'one', sequence: 1, at: now, pending: true });
    return { ...parts, now };
  }

  test('lasts also in a namespace that nobody uses when it comes', async () => {
    const { there, here, clock, channel } = setup({});
    await here.cache.namespace('n').set('k', 'old');
    await there.cache.getIfCached('so that it listens');
    clock.advance(10);

    channel.deliver({ ...change, space: ['n'], origin: 'one', sequence: 1, at: clock.now(), pending: true });

    expect(await there.cache.namespace('n').getIfCached('k')).toBeUndefined();
    channel.deliver({ ...change, space: ['n'], origin: 'one', sequence: 2, at: clock.now() });
    expect(await there.cache.namespace('n').getIfCached('k')).toBe('old');
  });

  test('outlives the word of another process about a change before that one', async () => {
    const { there, channel, now } = await doubting();

    channel.deliver({ ...change, origin: 'two', sequence: 1, at: now - 1 });

    expect(await there.cache.getIfCached('k')).toBeUndefined();
  });

  test('ends with the word of the process that caused it', async () => {
    const { there, channel, now } = await doubting();
    expect(await there.cache.getIfCached('k')).toBeUndefined();

    channel.deliver({ ...change, origin: 'one', sequence: 2, at: now });

    expect(await there.cache.getIfCached('k')).toBe('old');
  });

  test('ends with a later change of another process', async () => {
    const { there, channel, now } = await doubting();

    channel.deliver({ ...change, origin: 'two', sequence: 1, at: now + 1 });

    expect(await there.cache.getIfCached('k')).toBe('old');
  });

  test('ends when all have said so that caused it', async () => {
    const { there, channel, now } = await doubting();
    channel.deliver({ ...change, origin: 'two', sequence: 1, at: now, pending: true });

    channel.deliver({ ...change, origin: 'two', sequence: 2, at: now });
    expect(await there.cache.getIfCached('k')).toBeUndefined();

    channel.deliver({ ...change, origin: 'one', sequence: 2, at: now });
    expect(await there.cache.getIfCached('k')).toBe('old');
  });

  test('ends with a load that began under it, on a storage without versions, too', async () => {
    const { there, channel, now } = await doubting();
    const loading = there.cache.get('k');
    await settle();
    there.upstream.calls.at(-1)!.resolve('new');
    expect(await loading).toBe('new');
    await there.cache.idle();

    // Drops what memory holds, and says nothing about the doubt.
    channel.deliver({ ...change, origin: 'two', sequence: 1, at: now - 1 });
    expect(await there.cache.getIfCached('k')).toBe('new');
  });

  test('outlives a load that began before it', async () => {
    const { there, clock, channel } = setup({});
    const loading = there.cache.get('k');
    await settle();
    channel.deliver({ ...change, origin: 'one', sequence: 1, at: clock.now(), pending: true });
    there.upstream.calls.at(-1)!.resolve('old');
    expect(await loading).toBe('old');
    await there.cache.idle();

    expect(await there.cache.getIfCached('k')).toBeUndefined();
  });
});
