import { describe, expect, test } from 'vitest';

import {
  SoloflightError,
  TierTimeoutError,
  UndecodableError,
  type Entry,
  type StorageAdapter,
} from '../../src/index.js';
import { chaos } from '../../src/testing/index.js';
import { scriptedTier, type ScriptedTier } from '../support/scripted-tier.js';
import { entryAt, READ_TIMEOUT, settle, setupGuard, WRITE_TIMEOUT, type GuardParts } from '../support/setup-guard.js';
import { unversioned } from '../support/unversioned.js';

/** What a read finds, once everything that can settle has. `'pending'` where it waits for storage. */
async function found(read: ReturnType<GuardParts['guard']['get']>): Promise<unknown> {
  let value: unknown = 'pending';
  void Promise.resolve(read).then((entry) => (value = entry?.value));
  await settle();
  return value;
}

/** How `promise` ended, or that it did not. */
async function outcome(promise: Promise<unknown>): Promise<unknown> {
  let end: unknown = 'pending';
  promise.then(
    (value) => (end = { value }),
    (error: unknown) => (end = { error }),
  );
  await settle();
  return end;
}

/** A guard over a scripted tier, its calls settled by the test. */
function scripted(options?: { readonly setIfNewer?: boolean }): GuardParts & { readonly script: ScriptedTier } {
  const script = scriptedTier(options);
  return { ...setupGuard(script.tier), script };
}

/** A guard over a map that can be made to fail. */
function troubled(tier: StorageAdapter = unversioned()) {
  const storage = chaos(tier);
  return { ...setupGuard(storage), storage };
}

/** Fails reads until the breaker opens. */
async function open({ guard, storage }: ReturnType<typeof troubled>): Promise<void> {
  storage.failAlways('all');
  for (let read = 0; read < 5; read += 1) await guard.get(`opening ${read}`);
}

const PUT = { keep: false };
const REPLACE = { keep: true };

describe('a tier that works', () => {
  test('a synchronous read is answered synchronously', async () => {
    const { guard, storage, clock } = troubled();
    const entry = entryAt(clock, 'v');
    await storage.set('k', entry, Infinity);

    expect(guard.get('k')).toBe(entry);
    expect(guard.get('other')).toBeUndefined();
  });

  test('an entry is stored as long as it may be served', async () => {
    const { guard, script, clock } = scripted();
    const keeps: number[] = [];
    const set = script.tier.set.bind(script.tier);
    script.tier.set = (key, entry, keepUntil) => {
      keeps.push(keepUntil);
      return set(key, entry, keepUntil);
    };

    void guard.put('k', entryAt(clock, 'v'), PUT);
    await settle();

    expect(keeps).toEqual([clock.now() + 120_000]);
    script.next('set').pass();
  });

  test('a removal tells whether the tier is known to have held the key', async () => {
    const { guard, storage, clock } = troubled();
    await storage.set('k', entryAt(clock, 'v'), Infinity);

    expect((await guard.remove('k')).held).toBe(true);
    expect((await guard.remove('k')).held).toBe(false);
  });

  test('a removal is not taken for a hit where the tier does not tell', async () => {
    const { guard } = setupGuard({ ...simple(), delete: () => {} });

    expect((await guard.remove('k')).held).toBe(false);
  });

  test('a loaded entry never replaces a newer one, where the tier can tell', async () => {
    const { guard, storage, clock } = troubled();
    await storage.set('k', entryAt(clock, 'newer'), Infinity);

    await guard.put('k', entryAt(clock, 'older', 10), PUT);

    expect(await found(guard.get('k'))).toBe('newer');
  });

  test('an entry that must replace the stored one does so even if that one claims to be newer', async () => {
    const { guard, storage, clock } = troubled();
    await storage.set('k', entryAt(clock, 'from the future', -3_600_000), Infinity);

    await guard.put('k', entryAt(clock, 'v'), REPLACE);

    expect(await found(guard.get('k'))).toBe('v');
    expect(storage.calls.setIfNewer).toBe(0);
  });

  test('expire shortens the freshness of the stored entry and nothing else', async () => {
    const { guard, storage, clock } = troubled();
    const entry = entryAt(clock, 'v');
    await storage.set('k', entry, Infinity);

    clock.advance(10);
    await guard.expire('k', clock.now());

    expect(await guard.get('k')).toEqual({ ...entry, freshUntil: clock.now() });
    expect(await storage.get('k')).toEqual({ ...entry, freshUntil: clock.now() });
  });

  test('expire writes nothing for a key that is not stored, or stale already', async () => {
    const { guard, storage, clock } = troubled();
    await storage.set('stale', entryAt(clock, 'v', 70_000), Infinity);
    const before = storage.calls.set + (storage.calls.setIfNewer ?? 0);

    await guard.expire('stale', clock.now());
    await guard.expire('missing', clock.now());

    expect(storage.calls.set + storage.calls.setIfNewer).toBe(before);
  });

  test('expired rows are swept in bounded batches, every so many writes', async () => {
    const { guard, storage, clock } = troubled();
    const sweeps: unknown[][] = [];
    storage.sweep = (...args) => {
      sweeps.push(args);
      return 0;
    };

    for (let write = 0; write < 256; write += 1) await guard.put(`k${write}`, entryAt(clock, 'v'), PUT);

    expect(sweeps).toEqual([
      [clock.now(), 256],
      [clock.now(), 256],
    ]);
  });

  test('a tier without a name of its own gets one', () => {
    expect(setupGuard({ ...simple(), name: '' }).guard.name).toBe('storage');
    expect(setupGuard({ ...simple(), name: undefined as unknown as string }).guard.name).toBe('storage');
    expect(setupGuard({ ...simple(), name: 'mine' }).guard.name).toBe('mine');
  });
});

/** The least a tier can be. */
function simple(): StorageAdapter {
  const entries = new Map<string, Entry>();
  return {
    name: 'simple',
    get: (key) => entries.get(key),
    set: (key, entry) => void entries.set(key, entry),
    delete: (key) => entries.delete(key),
  };
}

describe('a read of a tier that fails', () => {
  test.each(['reject', 'throw'] as const)('is a miss and a report when the tier answers with a %s', async (how) => {
    const { guard, storage, reports } = troubled();
    const error = new Error('down');

    storage.failNext('get', error, how);

    expect(await guard.get('k')).toBeUndefined();
    expect(reports).toEqual([{ operation: 'get', key: 'k', error }]);
  });

  test('is a miss and a report when it takes longer than its deadline, and the late answer is ignored', async () => {
    const { guard, script, clock, reports } = scripted();
    await script.stored.set('k', entryAt(clock, 'v'), Infinity);
    const read = guard.get('k');

    clock.advance(READ_TIMEOUT - 1);
    expect(await found(read)).toBe('pending');
    clock.advance(1);

    expect(await found(read)).toBeUndefined();
    expect(reports).toMatchObject([
      { operation: 'get', key: 'k', error: { code: 'SOLOFLIGHT_TIER_TIMEOUT', deadline: READ_TIMEOUT } },
    ]);
    script.next('get').pass();
    await settle();
    expect(reports).toHaveLength(1);
  });

  const good = entryAt({ now: () => 0 } as never, 'v');
  test.each([
    ['null', null],
    ['a number', 42],
    ['a string', 'v'],
    ['an array', []],
    ['an empty object', {}],
    ['an entry without its windows', { ...good, staleUntil: undefined }],
    ['an entry with NaN for an instant', { ...good, freshUntil: NaN }],
    ['an entry that started never', { ...good, startedAt: Infinity }],
    ['an entry with tags that are no strings', { ...good, tags: [1] }],
    ['an object that throws when it is looked at', new Proxy({}, { get: () => fail(), has: () => true })],
    [
      'an entry that throws when it is looked at',
      Object.defineProperty({ ...good }, 'startedAt', { get: () => fail() }),
    ],
  ])('is a miss and a report when the answer is %s', async (_name, garbage) => {
    for (const answer of [() => garbage, () => Promise.resolve({ garbage }).then((held) => held.garbage)]) {
      const { guard, reports } = setupGuard({ ...simple(), get: answer as () => never });

      const read = guard.get('k');

      expect(await read).toBeUndefined();
      expect(reports).toMatchObject([{ operation: 'get', key: 'k' }]);
    }
  });

  test('is answered from thenables that are no promises', async () => {
    const entry = entryAt({ now: () => 0 } as never, 'v');
    const { guard } = setupGuard({
      ...simple(),
      get: () => ({ then: (resolve: (value: unknown) => unknown) => resolve(entry) }) as never,
    });

    expect(await guard.get('k')).toBe(entry);
  });

  test('is a miss and a report when a thenable throws', async () => {
    const error = new Error('no promise at all');
    const { guard, reports } = setupGuard({
      ...simple(),
      get: () => ({ then: () => fail(error) }),
    });

    expect(await guard.get('k')).toBeUndefined();
    expect(reports).toEqual([{ operation: 'get', key: 'k', error }]);
  });

  test('is over by its deadline when a thenable answers with a promise that hangs', async () => {
    const { guard, clock, reports } = setupGuard({
      ...simple(),
      get: () => ({ then: (resolve: (value: unknown) => unknown) => resolve(new Promise(() => {})) }) as never,
    });

    const read = guard.get('k');
    await clock.advanceAsync(READ_TIMEOUT);

    expect(await found(read)).toBeUndefined();
    expect(reports).toMatchObject([{ error: { code: 'SOLOFLIGHT_TIER_TIMEOUT' } }]);
  });

  test('of payloads that can not be decoded is a miss and a report, and the tier still counts as healthy', async () => {
    const { guard, storage, reports } = troubled();
    storage.failAlways('get', new UndecodableError('k', 'written by a later version'));

    for (let read = 0; read < 20; read += 1) expect(await guard.get('k')).toBeUndefined();

    expect(storage.calls.get).toBe(20);
    expect(reports).toHaveLength(20);
  });

  test('payloads that can not be decoded show that a failing tier is back', async () => {
    const parts = troubled();
    await open(parts);
    parts.storage.restore();
    parts.storage.failAlways('get', new UndecodableError('k', 'written by a later version'));

    parts.clock.advance(5_000);
    await parts.guard.get('k');
    await parts.guard.get('k');

    expect(parts.storage.calls.get).toBe(7);
  });
});

function tooLarge(): SoloflightError {
  return new SoloflightError('SOLOFLIGHT_VALUE_TOO_LARGE', 'The value is too large');
}

function fail(error: Error = new Error('do not touch')): never {
  throw error;
}

describe('a tier that keeps failing', () => {
  test('is skipped after five failures in a row, and probed once after five seconds', async () => {
    const parts = troubled();
    const { guard, storage, clock } = parts;
    await open(parts);

    expect(guard.get('k')).toBeUndefined();
    clock.advance(4_999);
    expect(guard.get('k')).toBeUndefined();
    expect(storage.calls.get).toBe(5);

    clock.advance(1);
    await Promise.all([guard.get('k'), guard.get('k'), guard.get('other')]);
    expect(storage.calls.get).toBe(6);
  });

  test('is probed less and less often, and used again after the first probe that succeeds', async () => {
    const parts = troubled();
    const { guard, storage, clock } = parts;
    await open(parts);
    let probes = 5;

    for (const pause of [5_000, 10_000, 20_000, 40_000, 60_000, 60_000]) {
      clock.advance(pause - 1);
      await guard.get('k');
      expect(storage.calls.get).toBe(probes);
      clock.advance(1);
      await guard.get('k');
      probes += 1;
      expect(storage.calls.get).toBe(probes);
    }
    storage.restore();
    await storage.set('k', entryAt(clock, 'v', -60_000), Infinity);
    clock.advance(60_000);

    expect(await found(guard.get('k'))).toBe('v');
    expect(await found(guard.get('k'))).toBe('v');
    expect(storage.calls.get).toBe(probes + 2);
  });

  test('is skipped because of reads that hang', async () => {
    const { guard, script, clock } = scripted();

    for (let read = 0; read < 5; read += 1) void guard.get(`k${read}`);
    await clock.advanceAsync(READ_TIMEOUT);

    expect(guard.get('k')).toBeUndefined();
    expect(script.calls).toHaveLength(5);
  });

  test('is skipped because of writes that fail, for reads and results of loads alike', async () => {
    const { guard, storage, clock } = troubled();
    storage.failAlways('setIfNewer');

    for (let write = 0; write < 5; write += 1) await guard.put(`k${write}`, entryAt(clock, 'v'), PUT);
    await guard.put('k', entryAt(clock, 'v'), PUT);

    expect(storage.calls.setIfNewer).toBe(5);
    expect(guard.get('other')).toBeUndefined();
    expect(storage.calls.get).toBe(0);
  });

  test.each<[string, (guard: GuardParts['guard'], entry: Entry) => Promise<unknown>]>([
    ['a removal', (guard) => guard.remove('k')],
    ['an expiry', (guard, { startedAt }) => guard.expire('k', startedAt)],
    ['a mark', (guard, entry) => guard.mark('k', entry)],
    ['what a user set', (guard, entry) => guard.put('k', entry, REPLACE)],
  ])('is tried for %s all the same: it may be back', async (_, change) => {
    const parts = troubled();
    const { guard, storage, clock } = parts;
    await open(parts);
    await storage.restore();
    await storage.set('k', entryAt(clock, 'old', 10), Infinity);

    await change(guard, { ...entryAt(clock, 'new'), freshUntil: clock.now() });

    const left = await storage.get('k');
    expect(left?.value === 'old' && left.freshUntil > clock.now()).toBe(false);
  });

  test('is not skipped because of values that are too large, each of which is reported', async () => {
    const { guard, storage, clock, reports } = troubled();
    const error = tooLarge();
    storage.failAlways('set', error);
    storage.failAlways('setIfNewer', error);

    for (let write = 0; write < 10; write += 1)
      expect(await guard.put(`k${write}`, entryAt(clock, 'v'), write % 2 === 0 ? PUT : REPLACE)).toMatchObject({
        held: false,
      });

    expect(storage.calls.set).toBe(5);
    expect(storage.calls.setIfNewer).toBe(5);
    expect(reports.filter(({ operation }) => operation === 'set')).toEqual(
      Array.from({ length: 10 }, (_, write) => ({ operation: 'set', key: `k${write}`, error })),
    );
    await guard.get('other');
    expect(storage.calls.get).toBe(1);
  });

  test('is used again after a probe that brought a value that is too large', async () => {
    const parts = troubled();
    const { guard, storage, clock } = parts;
    await open(parts);
    storage.restore();
    storage.failAlways('setIfNewer', tooLarge());

    clock.advance(5_000);
    await guard.put('k', entryAt(clock, 'v'), PUT);
    await guard.get('other');

    expect(storage.calls.setIfNewer).toBe(1);
    expect(storage.calls.get).toBe(6);
  });

  test('does not serve what a value that is too large was to replace', async () => {
    const { guard, storage, clock } = troubled();
    await storage.set('k', entryAt(clock, 'before', 10), Infinity);
    storage.failNext('set', tooLarge());

    await guard.put('k', entryAt(clock, 'large'), REPLACE);
    expect(await guard.get('k')).toBeUndefined();
    clock.advance(1_000);
    await guard.get('other');
    await settle();

    expect(await storage.get('k')).toBeUndefined();
  });

  test('is skipped because of writes that hang, and a write may be the probe', async () => {
    const { guard, script, clock } = scripted();
    for (let write = 0; write < 5; write += 1) void guard.put(`k${write}`, entryAt(clock, 'v'), PUT);
    await clock.advanceAsync(WRITE_TIMEOUT);

    const skipped = guard.put('k', entryAt(clock, 'v'), PUT);
    expect(await outcome(skipped)).toMatchObject({ value: { done: false } });
    expect(script.calls).toHaveLength(5);
    await clock.advanceAsync(5_000);
    void guard.put('k', entryAt(clock, 'v'), PUT);
    await settle();
    expect(script.calls).toHaveLength(6);
    script.next('set', 'k').pass();
    await settle();

    void guard.get('other');
    expect(script.next('get').key).toBe('other');
    script.next('get').pass();
  });

  test('a late success does not count: the deadline decided', async () => {
    const { guard, script, clock } = scripted();
    for (let write = 0; write < 5; write += 1) void guard.put(`k${write}`, entryAt(clock, 'v'), PUT);
    await clock.advanceAsync(WRITE_TIMEOUT);

    script.next('set', 'k0').pass();
    await settle();

    expect(guard.get('other')).toBeUndefined();
    expect(script.calls.filter(({ operation }) => operation === 'get')).toEqual([]);
  });
});

describe('the writes of a key', () => {
  test('are seen by reads at once, before storage has them', async () => {
    const { guard, script, clock } = scripted();
    await script.stored.set('k', entryAt(clock, 'old', 5), Infinity);

    void guard.put('k', entryAt(clock, 'new'), PUT);
    expect(await found(guard.get('k'))).toBe('new');
    void guard.remove('k');
    expect(guard.get('k')).toBeUndefined();
    script.next('set').pass();
    await settle();
    expect(script.calls.map(({ operation }) => operation)).toEqual(['set', 'delete']);
    script.next('delete').pass();
  });

  test('that are told to wait do, and reads see them all the same', async () => {
    const { guard, script, clock } = scripted();
    let release!: () => void;
    const after = new Promise<void>((resolve) => (release = resolve));

    const put = guard.put('k', entryAt(clock, 'v'), { keep: false, after });
    await settle();
    expect(script.calls).toEqual([]);
    expect(await found(guard.get('k'))).toBe('v');

    release();
    await settle();
    script.next('set').pass();
    expect(await outcome(put)).toMatchObject({ value: { done: true } });
  });

  test('that are told to wait for something that fails are made all the same', async () => {
    const { guard, storage, clock } = troubled();

    await guard.put('k', entryAt(clock, 'v'), { keep: false, after: Promise.reject(new Error('flight failed')) });

    expect(storage.get('k')).toMatchObject({ value: 'v' });
  });

  test('do not overtake each other, and those in between are skipped', async () => {
    const { guard, script, clock } = scripted();

    void guard.put('k', entryAt(clock, 1), PUT);
    await settle();
    void guard.put('k', entryAt(clock, 2), PUT);
    void guard.remove('k');
    void guard.put('k', entryAt(clock, 3), PUT);
    await settle();
    expect(script.calls).toHaveLength(1);
    script.next('set').pass();
    await settle();

    expect(script.calls.map(({ operation, entry }) => [operation, entry?.value])).toEqual([
      ['set', 1],
      ['set', 3],
    ]);
    script.next('set').pass();
  });

  test('of one key do not wait for those of another', async () => {
    const { guard, script, clock } = scripted();

    void guard.put('a', entryAt(clock, 1), PUT);
    void guard.put('b', entryAt(clock, 2), PUT);
    await settle();

    expect(script.waiting.map(({ key }) => key)).toEqual(['a', 'b']);
    script.next('set').pass();
    script.next('set').pass();
  });

  test('that follow a removal not yet confirmed replace whatever is stored', async () => {
    const { guard, script, clock } = scripted({ setIfNewer: true });
    await script.stored.set('k', entryAt(clock, 'from the future', -60_000), Infinity);

    void guard.remove('k');
    void guard.put('k', entryAt(clock, 'new'), PUT);
    await settle();

    expect(script.next('set').entry?.value).toBe('new');
    script.next('set').pass();
    await settle();
    expect(await script.stored.get('k')).toMatchObject({ value: 'new' });
  });

  test('that were expired before storage had them are stored, and read, expired', async () => {
    const { guard, script, clock } = scripted();
    const entry = entryAt(clock, 'v');

    void guard.put('k', entry, PUT);
    await settle();
    clock.advance(10);
    void guard.expire('k', clock.now());
    expect(await guard.get('k')).toEqual({ ...entry, freshUntil: clock.now() });
    script.next('set').pass();
    await settle();

    expect(script.next('set').entry).toEqual({ ...entry, freshUntil: clock.now() });
    script.next('set').pass();
  });

  test('an expire that follows a removal not yet confirmed brings nothing back', async () => {
    const { guard, script, clock } = scripted();
    await script.stored.set('k', entryAt(clock, 'old'), Infinity);

    const removed = guard.remove('k');
    void guard.expire('k', clock.now());
    expect(guard.get('k')).toBeUndefined();
    await settle();
    script.next('delete').pass();
    await removed;

    expect(await script.stored.get('k')).toBeUndefined();
    expect(script.waiting).toEqual([]);
  });

  test('the earliest of several expires that storage has not confirmed counts', async () => {
    const { guard, storage, clock } = troubled();
    const entry = entryAt(clock, 'v');
    await storage.set('k', entry, Infinity);
    storage.failAlways('set');
    storage.failAlways('setIfNewer');
    const at = clock.now();

    await guard.expire('k', at + 1_000);
    await guard.expire('k', at + 2_000);

    expect(await guard.get('k')).toEqual({ ...entry, freshUntil: at + 1_000 });
    storage.restore();
    clock.advance(1_000);
    await guard.get('other');
    await settle();
    expect(await storage.get('k')).toEqual({ ...entry, freshUntil: at + 1_000 });
  });

  test('nobody waits for them longer than the deadline, whatever they wait behind', async () => {
    const { guard, clock } = scripted();

    const first = guard.put('k', entryAt(clock, 1), PUT);
    await clock.advanceAsync(1_000);
    const second = guard.remove('k');
    const third = guard.expire('k', clock.now());
    await clock.advanceAsync(WRITE_TIMEOUT - 1_000);
    expect(await outcome(first)).toMatchObject({ value: { done: false } });
    await clock.advanceAsync(1_000);

    expect(await outcome(second)).toMatchObject({ value: { done: false } });
    expect(await outcome(third)).toMatchObject({ value: { done: false } });
  });

  test('a result worth only a try that fails leaves the stored entry as it was', async () => {
    const { guard, storage, clock, reports } = troubled();
    await storage.set('k', entryAt(clock, 'old', 10), Infinity);
    storage.failNext('setIfNewer');

    await guard.put('k', entryAt(clock, 'new'), PUT);

    expect(await found(guard.get('k'))).toBe('old');
    expect(reports).toMatchObject([{ operation: 'set', key: 'k' }]);
  });
});

describe('a value that must not be served', () => {
  test('is not found by a read that was under way when it was removed', async () => {
    const { guard, script, clock } = scripted();
    await script.stored.set('k', entryAt(clock, 'old'), Infinity);

    const read = guard.get('k');
    script.next('get').land();
    const removed = guard.remove('k');
    await settle();
    script.next('get').pass();

    expect(await found(read)).toBeUndefined();
    script.next('delete').pass();
    expect(await removed).toMatchObject({ held: true });
  });

  test('is not found by a read that was under way when it was removed, and expired before', async () => {
    const { guard, script, clock } = scripted();
    await script.stored.set('k', entryAt(clock, 'old'), Infinity);

    void guard.expire('k', clock.now());
    await settle();
    const read = guard.get('k');
    script.calls[1]!.land();
    void guard.remove('k');
    script.calls[1]!.pass();

    expect(await found(read)).toBeUndefined();
    script.next('get').pass();
    await settle();
    script.next('delete').pass();
  });

  test('is not found by a read that was under way when it was replaced', async () => {
    const { guard, script, clock } = scripted();
    await script.stored.set('k', entryAt(clock, 'old', 5), Infinity);

    const read = guard.get('k');
    script.next('get').land();
    void guard.put('k', entryAt(clock, 'new'), REPLACE);
    script.next('get').pass();

    expect(await found(read)).toBe('new');
    await settle();
    script.next('set').pass();
  });

  test('is stale for a read called after the expire whose answer is older than the expire', async () => {
    const { guard, script, clock } = scripted();
    await script.stored.set('k', entryAt(clock, 'v'), Infinity);

    const expired = guard.expire('k', clock.now());
    await settle();
    const read = guard.get('k');
    script.calls[1]!.land();
    script.calls[0]!.pass();
    await settle();
    script.next('set').pass();
    await expired;
    script.calls[1]!.pass();

    expect(await read).toMatchObject({ value: 'v', freshUntil: clock.now() });
  });

  test('is not served after a replacement that failed, and is removed by the replay', async () => {
    const { guard, storage, clock } = troubled();
    await storage.set('k', entryAt(clock, 'old', 10), Infinity);
    storage.failNext('set');

    await guard.put('k', entryAt(clock, 'new'), REPLACE);
    expect(guard.get('k')).toBeUndefined();
    clock.advance(1_000);
    await guard.get('other');
    await settle();

    expect(await storage.get('k')).toBeUndefined();
  });

  test.each([
    ['a removal', (parts: GuardParts) => parts.guard.remove('k'), undefined],
    ['a replacement', (parts: GuardParts) => parts.guard.put('k', entryAt(parts.clock, 'new'), REPLACE), 'new'],
  ])('does not come back when a write that hung lands after %s', async (_name, follow, latest) => {
    const { guard, script, clock, ...rest } = scripted();
    const hung = guard.put('k', entryAt(clock, 'old'), PUT);
    await clock.advanceAsync(WRITE_TIMEOUT);
    await hung;

    void follow({ guard, clock, ...rest });
    await settle();
    script.calls[1]!.pass();
    await settle();
    script.calls[0]!.pass();
    expect(await found(guard.get('k'))).toBe(latest);
    await settle();
    // Whatever it takes to make storage agree.
    while (script.waiting.length > 0) {
      script.waiting[0]!.pass();
      await settle();
    }

    expect((await script.stored.get('k'))?.value).toBe(latest);
    const read = guard.get('k');
    script.waiting[0]?.pass();
    expect(await found(read)).toBe(latest);
  });

  test('does not come back when a write that hung lands first and is confirmed last, or the other way round', async () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      const { guard, script, clock } = scripted();
      void guard.put('k', entryAt(clock, 'old'), PUT);
      await clock.advanceAsync(WRITE_TIMEOUT);
      void guard.put('k', entryAt(clock, 'new'), REPLACE);
      await settle();

      script.calls[1]!.land();
      script.calls[0]!.land();
      for (const index of order) {
        script.calls[index]!.pass();
        await settle();
        expect(await found(guard.get('k'))).toBe('new');
      }
      for (const call of script.waiting) call.pass();
      await settle();

      expect(await script.stored.get('k')).toMatchObject({ value: 'new' });
    }
  });

  test('is removed from storage as soon as that works again, even if an earlier write of the key never ends', async () => {
    const { guard, script, clock } = scripted();
    await script.stored.set('k', entryAt(clock, 'old', 10), Infinity);
    void guard.put('k', entryAt(clock, 'newer'), PUT);
    await clock.advanceAsync(WRITE_TIMEOUT);

    const removed = guard.remove('k');
    await settle();
    script.next('delete').pass();

    expect(await removed).toMatchObject({ held: true });
    expect(await script.stored.get('k')).toBeUndefined();
  });

  test('is not served while its removal hangs, nor when that fails at last, and the replay removes it', async () => {
    const { guard, script, clock } = scripted();
    await script.stored.set('k', entryAt(clock, 'old'), Infinity);

    const removed = guard.remove('k');
    await clock.advanceAsync(WRITE_TIMEOUT);
    expect(await outcome(removed)).toMatchObject({ value: { done: false } });
    expect(guard.get('k')).toBeUndefined();
    script.next('delete').fail();
    await settle();
    expect(guard.get('k')).toBeUndefined();

    await clock.advanceAsync(1_000);
    void guard.get('other');
    await settle();
    script.next('delete', 'k').pass();
    script.next('get').pass();
    await settle();
    expect(await script.stored.get('k')).toBeUndefined();
    void guard.get('k');
    script.next('get', 'k').pass();
  });

  test('is not served while its removal hangs, and the key is read again once that succeeds', async () => {
    const { guard, script, clock } = scripted();
    await script.stored.set('k', entryAt(clock, 'old'), Infinity);

    void guard.remove('k');
    await clock.advanceAsync(WRITE_TIMEOUT);
    script.next('delete').pass();
    await clock.advanceAsync(1_000);
    void guard.get('other');
    await settle();
    for (const call of script.waiting) call.pass();
    await settle();

    expect(await script.stored.get('k')).toBeUndefined();
    void guard.get('k');
    expect(script.next('get').key).toBe('k');
    script.next('get').pass();
  });

  test('is removed by the replay even if the removal that was tried first never ends', async () => {
    const { guard, script, clock } = scripted();
    await script.stored.set('k', entryAt(clock, 'old'), Infinity);
    void guard.remove('k');
    await clock.advanceAsync(WRITE_TIMEOUT + 1_000);

    void guard.get('other');
    await settle();
    script.calls.filter(({ operation }) => operation === 'delete')[1]!.pass();
    script.next('get').pass();
    await settle();

    expect(await script.stored.get('k')).toBeUndefined();
    void guard.get('k');
    expect(script.next('get').key).toBe('k');
    script.next('get').pass();
  });

  test('does not come back when an expire that hung is replayed, the key is removed, and the first attempt lands last', async () => {
    const { guard, script, clock } = scripted();
    await script.stored.set('k', entryAt(clock, 'old'), Infinity);
    void guard.expire('k', clock.now());
    await settle();
    script.next('get').pass();
    await settle();
    const hung = script.next('set');
    await clock.advanceAsync(WRITE_TIMEOUT + 1_000);

    // The replay, which works.
    void guard.get('other');
    await settle();
    script.next('get', 'k').pass();
    script.next('get', 'other').pass();
    await settle();
    for (const call of script.waiting) if (call !== hung) call.pass();
    await settle();
    const removed = guard.remove('k');
    await settle();
    script.next('delete').pass();
    await removed;
    hung.pass();
    await settle();
    while (script.waiting.length > 0) {
      script.waiting[0]!.pass();
      await settle();
    }

    const read = guard.get('k');
    script.waiting[0]?.pass();
    expect(await found(read)).toBeUndefined();
    expect(await script.stored.get('k')).toBeUndefined();
  });

  test('is stale although a newer one that was expired with it could not be stored', async () => {
    const { guard, script, clock } = scripted();
    await script.stored.set('k', entryAt(clock, 'old', 10), Infinity);

    void guard.put('k', entryAt(clock, 'new'), PUT);
    const expired = guard.expire('k', clock.now());
    await settle();
    script.next('set').fail();
    await expired;

    expect(guard.get('k')).toBeUndefined();
    await clock.advanceAsync(1_000);
    void guard.get('other');
    await settle();
    script.next('delete').pass();
    script.next('get').pass();
  });

  test('is written over once, however many late writes land', async () => {
    const { guard, script, clock } = scripted();
    for (const value of [1, 2, 3]) {
      void guard.put('k', entryAt(clock, value), PUT);
      await clock.advanceAsync(WRITE_TIMEOUT);
    }
    void guard.remove('k');
    await settle();
    script.next('delete').pass();

    for (const call of script.calls.slice(0, 3)) {
      expect(script.waiting.filter(({ operation }) => operation === 'delete')).toEqual([]);
      call.pass();
      await settle();
    }

    script.next('delete').pass();
    await settle();
    expect(script.waiting).toEqual([]);
    expect(await script.stored.get('k')).toBeUndefined();
  });

  test('is removed by one write at a time, also when a late one lands meanwhile', async () => {
    const { guard, script, clock } = scripted();
    void guard.put('k', entryAt(clock, 'old'), PUT);
    await clock.advanceAsync(WRITE_TIMEOUT);
    void guard.remove('k');
    await settle();

    script.calls[0]!.pass();
    await settle();
    expect(script.waiting.map(({ operation }) => operation)).toEqual(['delete']);
    script.next('delete').pass();
    await settle();
    expect(script.waiting.map(({ operation }) => operation)).toEqual(['delete']);
    script.next('delete').pass();
    await settle();

    expect(script.waiting).toEqual([]);
  });

  test('that waits for a replay is left to it when a late write lands', async () => {
    const { guard, script, clock } = scripted();
    void guard.put('k', entryAt(clock, 'new'), REPLACE);
    await clock.advanceAsync(WRITE_TIMEOUT);

    script.next('set').pass();
    await settle();
    expect(script.waiting).toEqual([]);
    await clock.advanceAsync(1_000);
    void guard.get('other');
    await settle();

    script.next('delete', 'k').pass();
    script.next('get').pass();
  });

  test('an expire under way stores nothing once something else is wanted', async () => {
    const { guard, script, clock } = scripted();
    await script.stored.set('k', entryAt(clock, 'old'), Infinity);

    void guard.expire('k', clock.now());
    await settle();
    void guard.remove('k');
    script.next('get').pass();
    await settle();

    expect(script.waiting.map(({ operation }) => operation)).toEqual(['delete']);
    script.next('delete').pass();
  });

  test('an expire of something that can not be decoded is done with: no read here finds it either', async () => {
    const { guard, storage, clock, reports } = troubled();
    storage.failNext('get', new UndecodableError('k', 'written by a later version'));

    await guard.expire('k', clock.now());
    clock.advance(1_000);
    await guard.get('other');
    await settle();

    expect(reports).toEqual([]);
    expect(storage.calls.get).toBe(2);
    expect(storage.calls.set + storage.calls.setIfNewer).toBe(0);
  });

  test('is stale although the tier answered garbage when it was to be expired', async () => {
    const { guard, storage, clock, reports } = troubled();
    await storage.set('k', entryAt(clock, 'v'), Infinity);
    const at = clock.now();
    storage.corrupt('k');

    await guard.expire('k', at);
    storage.restore();
    clock.advance(1_000);

    expect(reports).toMatchObject([{ operation: 'set', key: 'k', error: expect.any(TypeError) as unknown }]);
    expect(await guard.get('k')).toMatchObject({ value: 'v', freshUntil: at });
    await settle();
    expect(await storage.get('k')).toMatchObject({ value: 'v', freshUntil: at });
  });
});

describe('what a tier could not take', () => {
  test('is replayed by a timer, whether or not anybody reads', async () => {
    const { guard, storage, clock } = troubled();
    await storage.set('k', entryAt(clock, 'old'), Infinity);
    storage.failNext('delete');
    expect((await guard.remove('k')).held).toBe(false);

    await clock.advanceAsync(999);
    expect(storage.calls.delete).toBe(1);
    await clock.advanceAsync(1);

    expect(storage.calls.delete).toBe(2);
    expect(await storage.get('k')).toBeUndefined();
  });

  test('is replayed again and again until storage is back', async () => {
    const { guard, storage, clock } = troubled();
    await storage.set('k', entryAt(clock, 'old'), Infinity);
    storage.failAlways('delete');
    await guard.remove('k');

    await clock.advanceAsync(10_000);
    expect(storage.calls.delete).toBe(11);
    storage.restore();
    await clock.advanceAsync(1_000);

    expect(await storage.get('k')).toBeUndefined();
    await clock.advanceAsync(10_000);
    expect(storage.calls.delete).toBe(12);
  });

  test('is replayed before the read that finds out whether the tier is back', async () => {
    const { guard, script, clock } = scripted();
    await script.stored.set('b', entryAt(clock, 'b', -60_000), Infinity);
    for (let read = 0; read < 5; read += 1) void guard.get(`opening ${read}`);
    await clock.advanceAsync(READ_TIMEOUT);
    await clock.advanceAsync(4_900);
    const removed = guard.remove('a');
    await settle();
    script.next('delete').fail();
    await removed;
    const before = script.calls.length;

    await clock.advanceAsync(100);
    const read = guard.get('b');
    await settle();
    expect(script.calls.slice(before).map(({ operation }) => operation)).toEqual(['delete']);
    script.next('delete').pass();
    await settle();
    script.next('get', 'b').pass();

    expect(await found(read)).toBe('b');
  });

  test('does not make the read that finds the tier back wait longer than any read', async () => {
    const { guard, script, clock } = scripted();
    for (let read = 0; read < 5; read += 1) void guard.get(`opening ${read}`);
    await clock.advanceAsync(READ_TIMEOUT);
    const removed = guard.remove('a');
    await settle();
    script.next('delete').fail();
    await removed;
    await clock.advanceAsync(5_000);

    const read = guard.get('b');
    await clock.advanceAsync(READ_TIMEOUT);

    expect(await found(read)).toBeUndefined();
    expect(script.next('delete').key).toBe('a');
  });

  test('is not tried more often than once a second, however many reads there are', async () => {
    const { guard, storage, clock } = troubled();
    storage.failAlways('delete');
    await guard.remove('k');

    for (let read = 0; read < 100; read += 1) await guard.get('other');
    await settle();
    expect(storage.calls.delete).toBe(1);
    for (let second = 0; second < 3; second += 1) {
      clock.advance(1_000);
      for (let read = 0; read < 100; read += 1) await guard.get('other');
      await settle();
    }

    expect(storage.calls.delete).toBe(4);
  });

  test('is tried again after writes too, where there are no reads', async () => {
    const { guard, storage, clock } = troubled();
    storage.failNext('delete');
    await guard.remove('k');

    clock.advance(1_000);
    await guard.put('other', entryAt(clock, 'v'), PUT);
    await settle();

    expect(storage.calls.delete).toBe(2);
  });

  test('goes on after a replay that failed half-way, and only what is left is tried again', async () => {
    const { guard, storage, clock } = troubled();
    storage.failAlways('delete');
    for (let key = 0; key < 100; key += 1) await Promise.all([guard.remove(`k${key}`), guard.get('other')]);
    for (let key = 0; key < 100; key += 1) await storage.set(`k${key}`, entryAt(clock, 'old', -1_000_000), Infinity);
    storage.restore();
    Object.assign(storage, { deleteMany: undefined });
    const inner = storage.delete.bind(storage);
    const deleted: string[] = [];
    let broken = true;
    storage.delete = (key) => {
      // The first and the second batch pass, then nothing does.
      if (broken && deleted.length >= 33) throw new Error('down again');
      deleted.push(key);
      return inner(key);
    };

    await clock.advanceAsync(1_000);
    await settle();
    expect(deleted).toHaveLength(33);
    for (let key = 0; key < 100; key += 1) expect(await found(guard.get(`k${key}`))).toBeUndefined();
    broken = false;
    await clock.advanceAsync(1_000);
    await settle();

    expect(deleted).toHaveLength(100);
    expect(new Set(deleted).size).toBe(100);
    for (let key = 0; key < 100; key += 1) expect(await storage.get(`k${key}`)).toBeUndefined();
  });

  test('costs a tier that is still away one write per pause', async () => {
    const parts = troubled();
    const { guard, storage, clock } = parts;
    await open(parts);
    for (let key = 0; key < 100; key += 1) await guard.remove(`k${key}`);

    await clock.advanceAsync(1_000);
    await settle();

    expect(storage.calls).toMatchObject({ delete: 101, get: 5 });
  });

  test('goes on in one replay although storage refuses single keys', async () => {
    const parts = troubled();
    const { guard, storage, clock } = parts;
    await open(parts);
    for (let key = 0; key < 100; key += 1) await guard.remove(`k${key}`);
    storage.restore();
    Object.assign(storage, { deleteMany: undefined });
    const inner = storage.delete.bind(storage);
    storage.delete = (key) => (key === 'k5' ? fail(new Error('refused')) : inner(key));

    await clock.advanceAsync(1_000);
    await settle();

    expect(storage.calls.delete).toBe(199);
  });

  test('stops in the middle of a replay when storage goes away again', async () => {
    const parts = troubled();
    const { guard, storage, clock } = parts;
    await open(parts);
    for (let key = 0; key < 100; key += 1) await guard.remove(`k${key}`);
    storage.restore();
    Object.assign(storage, { deleteMany: undefined });
    const inner = storage.delete.bind(storage);
    let tries = 0;
    storage.delete = (key) => {
      tries += 1;
      return tries > 1 ? fail(new Error('away again')) : inner(key);
    };

    await clock.advanceAsync(1_000);
    await settle();

    expect(tries).toBe(33);
  });

  test('is not replayed where a newer wish is being written by itself', async () => {
    const { guard, script, clock } = scripted();
    for (const key of ['a', 'b']) void guard.remove(key);
    await settle();
    for (const call of script.waiting) call.fail();
    await clock.advanceAsync(1_000);
    void guard.get('other');
    await settle();
    script.next('get').pass();

    void guard.put('b', entryAt(clock, 'new'), PUT);
    await settle();
    script.next('delete', 'a').pass();
    await settle();

    expect(script.waiting.map(({ operation, key }) => [operation, key])).toEqual([['set', 'b']]);
    script.next('set').pass();
  });

  test('that storage refuses for its own sake neither keeps the tier shut, nor the others waiting', async () => {
    const { guard, storage, clock } = troubled();
    const inner = storage.delete.bind(storage);
    let down = true;
    storage.delete = (key) => {
      if (down || key.startsWith('too long')) throw new Error('refused');
      return inner(key);
    };
    for (let key = 0; key < 40; key += 1) await guard.remove(`too long ${key}`);
    await guard.remove('k');
    await storage.set('k', entryAt(clock, 'old', -1_000_000), Infinity);
    await storage.set('other', entryAt(clock, 'v', -1_000_000), Infinity);
    down = false;

    let served = 0;
    for (let second = 0; second < 120; second += 1) {
      await clock.advanceAsync(1_000);
      if ((await found(guard.get('other'))) === 'v') served += 1;
    }

    expect(await storage.get('k')).toBeUndefined();
    expect(served).toBeGreaterThan(100);
  });

  test('is dropped when a newer wish for the key gets through by itself', async () => {
    const { guard, storage, clock } = troubled();
    storage.failNext('delete');
    await guard.remove('k');

    await guard.put('k', entryAt(clock, 'new'), PUT);
    clock.advance(1_000);
    await guard.get('other');
    await settle();

    expect(storage.calls.delete).toBe(1);
    expect(await found(guard.get('k'))).toBe('new');
  });

  test('is a removal again when the put that followed it is refused as well', async () => {
    const { guard, storage, clock } = troubled();
    await storage.set('k', entryAt(clock, 'old', 10), Infinity);
    storage.failNext('delete');
    storage.failNext('set');

    await guard.remove('k');
    await guard.put('k', entryAt(clock, 'new'), PUT);

    expect(guard.get('k')).toBeUndefined();
    clock.advance(1_000);
    await guard.get('other');
    await settle();
    expect(await storage.get('k')).toBeUndefined();
  });

  test('is superseded by a wish that comes while it is replayed, whichever way the replay ends', async () => {
    for (const end of ['pass', 'fail'] as const) {
      const { guard, script, clock } = scripted();
      await script.stored.set('k', entryAt(clock, 'old', 10), Infinity);
      void guard.remove('k');
      await settle();
      script.next('delete').fail();
      await clock.advanceAsync(1_000);
      void guard.get('other');
      await settle();
      script.next('get').pass();

      void guard.put('k', entryAt(clock, 'new'), PUT);
      expect(await found(guard.get('k'))).toBe('new');
      script.next('delete')[end]();
      await settle();
      expect(await found(guard.get('k'))).toBe('new');
      script.next('set').pass();
      await settle();

      expect(script.waiting).toEqual([]);
      expect(await script.stored.get('k')).toMatchObject({ value: 'new' });
    }
  });

  test('does not leave the tier shut when a replay that has failed already is what the probe waits for', async () => {
    const { guard, script, clock } = scripted();
    // Two removals are kept, and one failure is missing until the breaker opens.
    for (const key of ['a', 'b']) void guard.remove(key);
    await settle();
    for (const call of script.waiting) call.fail();
    await settle();
    for (let read = 0; read < 2; read += 1) {
      void guard.get(`failing ${read}`);
      script.next('get').fail();
      await settle();
    }
    await clock.advanceAsync(1_000);
    void guard.get('failing');
    await settle();
    script.next('get').fail();
    await settle();

    // The replay runs into its deadline at the very instant at which the tier may be probed.
    // A read in each of the next microtasks, some of them while the replay winds up.
    clock.advance(5_000);
    for (let turn = 0; turn < 30; turn += 1) {
      void guard.get(`probe ${turn}`);
      await null;
    }
    await clock.advanceAsync(WRITE_TIMEOUT + READ_TIMEOUT + 60_000);
    const before = script.calls.length;
    void guard.get('again');
    await settle();

    expect(script.calls.length).toBeGreaterThan(before);
  });

  test('is tried once more when the tier is closed, before the adapter is', async () => {
    const { guard, script, clock } = scripted();
    const order: string[] = [];
    script.tier.close = () => void order.push('close');
    void guard.remove('k');
    await settle();
    script.next('delete').fail();
    await settle();

    const closed = guard.close();
    await settle();
    expect(order).toEqual([]);
    script.next('delete').pass();
    await closed;

    expect(order).toEqual(['close']);
    expect(clock.pending).toBe(0);
  });

  test('does not keep close waiting longer than the deadline when the tier hangs', async () => {
    const { guard, script, clock, reports } = scripted();
    script.tier.close = () => new Promise(() => {});
    void guard.remove('k');
    await settle();
    script.next('delete').fail();
    await settle();

    const closed = guard.close();
    await clock.advanceAsync(WRITE_TIMEOUT);
    expect(await outcome(closed)).toBe('pending');
    await clock.advanceAsync(WRITE_TIMEOUT);

    expect(await outcome(closed)).toEqual({ value: undefined });
    expect(reports.map(({ operation }) => operation)).toEqual(['delete', 'delete', 'close']);
  });
});

describe('close', () => {
  test.each([
    ['throws', () => fail(new Error('close failed'))],
    ['rejects', () => Promise.reject(new Error('close failed'))],
  ])('is a report, not a failure, when the adapter %s', async (_name, close) => {
    const { guard, reports } = setupGuard({ ...simple(), close });

    await guard.close();

    expect(reports).toMatchObject([{ operation: 'close', key: undefined, error: { message: 'close failed' } }]);
  });

  test('calls the adapter with itself as `this`, and does without where there is no close', async () => {
    class Adapter {
      readonly name = 'adapter';
      closed = false;
      get(): undefined {}
      set(): void {}
      delete(): void {}
      close(): void {
        this.closed = true;
      }
    }
    const adapter = new Adapter();

    await setupGuard(adapter).guard.close();
    await setupGuard(simple()).guard.close();

    expect(adapter.closed).toBe(true);
  });

  test('waits for writes under way, and for those that follow them', async () => {
    const { guard, script, clock } = scripted();
    const order: string[] = [];
    script.tier.close = () => void order.push('close');
    void guard.put('k', entryAt(clock, 1), PUT);
    await settle();
    void guard.remove('k');

    const closed = guard.close();
    await settle();
    script.next('set').pass();
    await settle();
    expect(order).toEqual([]);
    script.next('delete').pass();
    await closed;

    expect(order).toEqual(['close']);
  });

  test('a write that was late does nothing more to a closed adapter', async () => {
    const { guard, script, clock } = scripted();
    void guard.put('k', entryAt(clock, 'v'), PUT);
    await clock.advanceAsync(WRITE_TIMEOUT);

    await guard.close();
    script.next('set').pass();
    await settle();

    expect(script.waiting).toEqual([]);
  });
});

describe('a sweep', () => {
  test('that hangs keeps nobody waiting longer than the deadline', async () => {
    const { guard, storage, clock, background, reports } = troubled();
    storage.hang('sweep');

    for (let write = 0; write < 128; write += 1) await guard.put(`k${write}`, entryAt(clock, 'v'), PUT);
    expect(background.size).toBe(1);
    await clock.advanceAsync(WRITE_TIMEOUT);

    expect(background.size).toBe(0);
    expect(reports).toMatchObject([{ operation: 'sweep', error: expect.any(TierTimeoutError) as unknown }]);
  });

  test('that throws is a report', async () => {
    const { guard, storage, clock, reports } = troubled();
    storage.failAlways('sweep', new Error('no sweep'), 'throw');

    for (let write = 0; write < 128; write += 1) await guard.put(`k${write}`, entryAt(clock, 'v'), PUT);
    await settle();

    expect(reports).toMatchObject([{ operation: 'sweep', key: undefined, error: { message: 'no sweep' } }]);
  });
});

describe('more than can be kept', () => {
  const MOST = 100_000;

  /** Removes `count` keys that storage does not let go of. */
  async function removeMany(guard: GuardParts['guard'], count: number): Promise<void> {
    await Promise.all(Array.from({ length: count }, (_, key) => guard.remove(`k${key}`)));
  }

  test('removals up to the limit leave other keys alone', async () => {
    const { guard, storage, clock } = troubled();
    await storage.set('other', entryAt(clock, 'v', 10), Infinity);
    storage.failAlways('deleteMany');
    storage.failAlways('delete');
    await removeMany(guard, MOST);

    storage.restore();
    clock.advance(5_000);
    await guard.get('missing');
    await settle();

    expect(await found(guard.get('other'))).toBe('v');
  });

  test('removals beyond the limit make everything stored before unservable, and nothing stored after', async () => {
    const { guard, storage, clock } = troubled();
    for (let key = 0; key <= MOST; key += 1) await storage.set(`k${key}`, entryAt(clock, 'old'), Infinity);
    await storage.set('other', entryAt(clock, 'old'), Infinity);
    storage.failAlways('deleteMany');
    storage.failAlways('delete');
    await removeMany(guard, MOST + 1);
    storage.restore();
    await clock.advanceAsync(5_000);
    await guard.get('missing');

    for (const key of ['k0', 'k1', `k${MOST}`, 'other']) expect(await found(guard.get(key))).toBeUndefined();
    await guard.put('k0', entryAt(clock, 'new'), PUT);
    expect(await found(guard.get('k0'))).toBe('new');
    // By another process.
    await storage.set('k1', entryAt(clock, 'newer'), Infinity);
    expect(await found(guard.get('k1'))).toBe('newer');
  });

  test('the same key over and over counts once', async () => {
    const { guard, storage, clock } = troubled();
    await storage.set('other', entryAt(clock, 'v', 10), Infinity);
    storage.failAlways('delete');
    for (let time = 0; time <= MOST; time += 1) await Promise.all([guard.remove('k'), guard.get('missing')]);

    storage.restore();
    await clock.advanceAsync(5_000);
    await guard.get('missing');

    expect(await found(guard.get('other'))).toBe('v');
  });

  test('20,000 writes that hang are remembered, later ones worth only a try are let go without asking the tier', async () => {
    const { guard, script, clock } = scripted();
    const entry = entryAt(clock, 'v');
    for (let key = 0; key < 20_000; key += 1) void guard.put(`k${key}`, entry, PUT);
    await settle();

    expect(await outcome(guard.put('one more', entry, PUT))).toMatchObject({ value: { done: false } });
    expect(script.calls).toHaveLength(512);
    expect(await found(guard.get('k19999'))).toBe('v');
  });

  test('changes of any number of keys all reach a storage that takes them, some hundreds at a time', async () => {
    const stored = unversioned();
    let underWay = 0;
    let most = 0;
    const { guard, clock } = setupGuard({
      ...stored,
      deleteMany: undefined as never,
      delete: async (key) => {
        most = Math.max(most, (underWay += 1));
        await new Promise((resolve) => setImmediate(resolve));
        underWay -= 1;
        return stored.delete(key);
      },
    });
    const keys = Array.from({ length: 30_000 }, (_, key) => `k${key}`);
    for (const key of keys) await stored.set(key, entryAt(clock, 'old'), Infinity);

    const removed = await Promise.all(keys.map((key) => guard.remove(key)));

    expect(removed.every(({ held }) => held)).toBe(true);
    for (const key of keys) expect(await stored.get(key)).toBeUndefined();
    expect(most).toBe(512);
  });

  test('many changes of one turn go in few calls where the tier can do that', async () => {
    const { guard, storage, clock } = troubled();
    const keys = Array.from({ length: 25_000 }, (_, key) => `k${key}`);
    for (const key of keys) await storage.set(key, entryAt(clock, 'old'), Infinity);

    await Promise.all(keys.map((key) => guard.remove(key)));

    for (const key of keys) expect(await storage.get(key)).toBeUndefined();
    expect(storage.calls.delete).toBe(0);
    expect(storage.calls.deleteMany).toBe(Math.ceil(25_000 / 512));
  });

  test('who waits for one of many changes waits as long as storage takes others, and no longer than a write after that', async () => {
    const { guard, script, clock } = scripted();
    let answered = 0;
    const keys = Array.from({ length: 1_024 }, (_, key) => `k${key}`);
    for (const key of keys) void guard.remove(key).then(() => (answered += 1));
    await settle();

    await clock.advanceAsync(WRITE_TIMEOUT - 1);
    for (const call of script.waiting) call.pass();
    await clock.advanceAsync(WRITE_TIMEOUT - 1);
    expect(answered).toBe(512);
    await clock.advanceAsync(1);

    expect(answered).toBe(1_024);
    for (const call of script.waiting) call.pass();
    await settle();
  });

  test('more changes than can be kept, of a storage that has hung for longer than a write may take, make all before unservable', async () => {
    const { guard, script, clock } = scripted();
    const entry = entryAt(clock, 'old');
    await script.stored.set('other', entry, Infinity);
    for (let key = 0; key < MOST; key += 1) void guard.remove(`k${key}`);
    await clock.advanceAsync(WRITE_TIMEOUT);

    void guard.remove('one more');
    clock.advance(1);
    for (let turn = 0; turn < 1_000 && script.waiting.length > 0; turn += 1) {
      for (const call of script.waiting) call.pass();
      await settle();
    }

    await clock.advanceAsync(60_000);
    const read = guard.get('other');
    for (const call of script.waiting) call.pass();
    expect(await found(read)).toBeUndefined();
  });

  test('writes of one key over and over while one hangs are not all remembered', async () => {
    const { guard, clock } = scripted();
    const entries: WeakRef<Entry>[] = [];
    for (let time = 0; time < 200; time += 1) {
      const entry = entryAt(
        clock,
        Array.from({ length: 1_000 }, () => time),
      );
      entries.push(new WeakRef(entry));
      void guard.put('k', entry, PUT);
      await clock.advanceAsync(1_000);
    }
    // What is weakly referenced stays until the turn is over.
    await new Promise((resolve) => setImmediate(resolve));
    globalThis.gc?.();

    expect(entries.filter((entry) => entry.deref() !== undefined).length).toBeLessThan(50);
  });
});
