import { expect, test } from 'vitest';

import {
  requestScope,
  defineStorage,
  mapStorage,
  TieredCache,
  type Entry,
  type StorageAdapter,
} from '../../src/index.js';
import { manualClock, scriptedUpstream, type ScriptedCall } from '../../src/testing/index.js';
import { fc, runs } from '../support/property.js';
import { settle } from '../support/setup-cache.js';

const TTL = 1_000;
const STALE = 2_000;
const ERROR = 5_000;

type Step =
  | {
      readonly do: 'get' | 'strict' | 'refresh' | 'cached' | 'aborted' | 'set' | 'invalidate' | 'expire';
      readonly key: string;
    }
  | { readonly do: 'resolve' | 'reject' | 'storage' | 'storageFails'; readonly which: number }
  | { readonly do: 'tag' | 'expireTag'; readonly tag: string; readonly inner: boolean }
  | { readonly do: 'clear'; readonly inner: boolean }
  | { readonly do: 'advance'; readonly ms: number };

/** The last one is the only one in a namespace. */
const key = fc.constantFrom('a', 'b', 'inner');
const inner = fc.boolean();
/** The keys of the cache itself, or of its namespace. */
const keysOf = (space: { readonly inner: boolean }): readonly string[] => (space.inner ? ['inner'] : ['a', 'b']);
/** Each key has a tag of its own and one that all have. */
const withTag = (next: { readonly tag: string; readonly inner: boolean }): readonly string[] =>
  keysOf(next).filter((name) => next.tag === 'all' || name === next.tag);
const which = fc.nat({ max: 5 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('get', 'strict', 'refresh', 'cached', 'aborted'), key }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('set', 'invalidate', 'expire'), key }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('tag', 'expireTag'), tag: fc.constantFrom('a', 'all'), inner }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const), inner }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('resolve', 'reject'), which }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('storage', 'storage', 'storage', 'storageFails'), which }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('advance' as const),
      ms: fc.constantFrom(1, 400, 999, 1_000, 2_500, 6_000),
    }),
  },
);

/** A storage whose operations wait to be let through, in any order, or failed. */
class GatedStorage implements StorageAdapter {
  readonly name = 'gated';
  readonly inner = mapStorage();
  readonly waiting: { pass(): void; fail(): void }[] = [];

  get(name: string): Promise<Entry | undefined> {
    return this.#gate(() => this.inner.get(name) as Entry | undefined);
  }

  set(name: string, entry: Entry, keepUntil: number): Promise<void> {
    return this.#gate(() => void this.inner.set(name, entry, keepUntil));
  }

  delete(name: string): Promise<boolean> {
    return this.#gate(() => this.inner.delete(name) as boolean);
  }

  #gate<T>(run: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ pass: () => resolve(run()), fail: () => reject(new Error('storage is down')) });
    });
  }
}

/**
 * The naive model: every load and every `set` draws a number when it starts, every invalidation draws one too. A read
 * must then bring a number above that of the last invalidation or `set` before it.
 */
class Model {
  #drawn = 0;
  readonly floor = new Map<string, number>();
  readonly strictFloor = new Map<string, number>();
  readonly createdAt = new Map<number, number>();

  draw(): number {
    return (this.#drawn += 1);
  }

  floorOf(name: string): number {
    return this.floor.get(name) ?? 0;
  }

  raise(name: string, to: number): void {
    this.floor.set(name, to);
    this.strictFloor.set(name, to);
  }
}

async function run(
  steps: readonly Step[],
  storageKind: 'none' | 'map' | 'gated',
  memory: boolean,
  scope: 'shared' | 'request',
): Promise<void> {
  const clock = manualClock({ random: () => 0.5 });
  const model = new Model();
  const scripted = scriptedUpstream<number>();
  const numbers = new Map<ScriptedCall<number>, number>();
  const gated = new GatedStorage();
  const storage = storageKind === 'none' ? [] : [storageKind === 'map' ? mapStorage() : defineStorage(gated)];
  const cache = new TieredCache<number>({
    ...{
      ttl: TTL,
      staleWhileRevalidate: STALE,
      staleIfError: ERROR,
      maxDuration: 20_000,
      clock,
      storage,
      scope: scope === 'shared' ? scope : requestScope(),
    },
    ...(memory ? {} : { memory: false }),
    tags: (_value, name) => [name, 'all'],
    upstream: (name, load) => {
      const started = model.draw();
      const rivals = scripted.calls.filter(
        (call) =>
          call.key === name &&
          !call.settled &&
          !call.signal.aborted &&
          numbers.get(call)! > (model.strictFloor.get(name) ?? 0),
      );
      expect(rivals, 'one current load per key').toEqual([]);
      const result = scripted(name, load);
      numbers.set(scripted.calls.at(-1)!, started);
      return result;
    },
  });
  const callers: Promise<unknown>[] = [];
  const space = (of: { readonly inner: boolean }): TieredCache<number> => (of.inner ? cache.namespace('inner') : cache);
  const cacheOf = (name: string): TieredCache<number> => space({ inner: name === 'inner' });

  const check = (name: string, strict: boolean): void => {
    const floor = strict ? (model.strictFloor.get(name) ?? 0) : model.floorOf(name);
    const read = cacheOf(name)
      .lookup(name, strict ? { maxStale: 0 } : {})
      .then(
        ({ value, status, age, freshFor }) => {
          expect(value, `${status} of ${name}`).toBeGreaterThanOrEqual(floor);
          const limit = { hit: TTL, stale: TTL + STALE, fallback: TTL + ERROR, miss: Infinity }[status];
          expect(age, `age of a ${status}`).toBeLessThan(limit);
          if (strict && status !== 'miss') expect(freshFor).toBeGreaterThan(0);
        },
        (error: Error) => expect(error.message).toMatch(/upstream is down|was ended after/),
      );
    callers.push(read);
  };

  for (const next of steps) {
    switch (next.do) {
      case 'get':
      case 'strict':
        check(next.key, next.do === 'strict');
        break;
      case 'refresh': {
        const floor = model.floorOf(next.key);
        callers.push(
          cacheOf(next.key)
            .refresh(next.key)
            .then(
              (value) => expect(value).toBeGreaterThanOrEqual(floor),
              () => {},
            ),
        );
        break;
      }
      case 'cached': {
        const floor = model.floorOf(next.key);
        callers.push(
          cacheOf(next.key)
            .getIfCached(next.key)
            .then((value) => expect(value ?? Infinity).toBeGreaterThanOrEqual(floor)),
        );
        break;
      }
      case 'aborted': {
        const controller = new AbortController();
        const outcome = cacheOf(next.key)
          .get(next.key, { signal: controller.signal })
          .then(
            () => 'answered',
            (reason: unknown) => reason,
          );
        controller.abort();
        // It was answered from memory, or it is rejected with its own reason and with nothing else.
        callers.push(outcome.then((end) => expect(['answered', controller.signal.reason]).toContain(end)));
        break;
      }
      case 'set': {
        const value = model.draw();
        model.raise(next.key, value);
        callers.push(cacheOf(next.key).set(next.key, value));
        break;
      }
      case 'invalidate':
        model.raise(next.key, model.draw());
        callers.push(cacheOf(next.key).invalidate(next.key));
        break;
      case 'expire':
        model.strictFloor.set(next.key, model.draw());
        callers.push(cacheOf(next.key).expire(next.key));
        break;
      case 'tag':
      case 'expireTag': {
        const at = model.draw();
        for (const name of withTag(next)) {
          if (next.do === 'tag') model.raise(name, at);
          else model.strictFloor.set(name, at);
        }
        callers.push(space(next).invalidateTags(next.tag, { mode: next.do === 'tag' ? 'invalidate' : 'expire' }));
        break;
      }
      case 'clear': {
        const at = model.draw();
        for (const name of keysOf(next)) model.raise(name, at);
        callers.push(space(next).clear());
        break;
      }
      case 'resolve':
      case 'reject': {
        const pending = scripted.calls.filter((call) => !call.settled);
        const call = pending[next.which % Math.max(1, pending.length)];
        if (next.do === 'resolve') call?.resolve(numbers.get(call)!);
        else call?.reject(new Error('upstream is down'));
        break;
      }
      case 'storage':
      case 'storageFails': {
        const [operation] = gated.waiting.splice(next.which % Math.max(1, gated.waiting.length), 1);
        if (next.do === 'storage') operation?.pass();
        else operation?.fail();
        break;
      }
      case 'advance':
        clock.advance(next.ms);
        break;
    }
    await settle();
    for (const name of ['a', 'inner'])
      expect(cacheOf(name).peek(name) ?? Infinity, `peek of ${name}`).toBeGreaterThanOrEqual(model.floorOf(name));
  }

  // The end: everything that waits is let go, and every caller must settle within the deadlines.
  const progress = { over: false };
  const end = (async () => {
    await Promise.all(callers);
    await cache.idle();
    expect(cache.getStats().inFlight + cache.namespace('inner').getStats().inFlight).toBe(0);
    await cache.close();
  })().finally(() => {
    progress.over = true;
  });
  for (let round = 0; round < 60 && !progress.over; round += 1) {
    for (const operation of gated.waiting.splice(0)) operation.pass();
    for (const call of scripted.calls) if (!call.settled) call.resolve(numbers.get(call)!);
    await settle();
    if (round > 20) clock.advance(10_000);
  }
  if (!progress.over) throw new Error('somebody still waits');
  await end;
}

for (const storage of ['none', 'map', 'gated'] as const) {
  for (const memory of [true, false]) {
    for (const scope of ['shared', 'request'] as const) {
      test(`no order of events makes a read older than the last invalidation before it (storage: ${storage}, memory: ${memory}, scope: ${scope})`, async () => {
        await fc.assert(
          fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), (steps) =>
            run(steps, storage, memory, scope),
          ),
          { numRuns: runs(300), timeout: 5_000 },
        );
      });
    }
  }
}
