import { afterEach, expect, test, vi } from 'vitest';

import type { SharedWrites } from '../../src/browser/shared-writes-options.js';
import { sharedWrites } from '../../src/browser/shared-writes.js';
import { defineStorage, mapStorage, TieredCache, type StorageTier } from '../../src/index.js';
import { manualClock, type ManualClock } from '../../src/testing/index.js';
import { memoryQueue, WriteBehind, type WriteQueue } from '../../src/writes/index.js';
import { fc, runs } from '../support/property.js';
import { StubTabs, turns } from '../support/stub-tabs.js';

const KEYS = ['a', 'b'] as const;
const TABS = 3;

type Key = (typeof KEYS)[number];

type Command =
  | { readonly do: 'set' | 'put' | 'delete' | 'get' | 'update'; readonly tab: number; readonly key: Key }
  | { readonly do: 'append'; readonly through: 'cache' | 'writes'; readonly tab: number; readonly key: Key }
  | { readonly do: 'flush' | 'crash'; readonly tab: number }
  | { readonly do: 'turns'; readonly turns: number };

const tab = fc.nat(TABS - 1);
const key = fc.constantFrom(...KEYS);
const command = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constantFrom('set', 'put', 'update', 'get'), tab, key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete'), tab, key }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('flush'), tab }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash'), tab }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('turns'), turns: fc.nat(40) }) },
) as fc.Arbitrary<Command>;

interface Tab {
  readonly writes: SharedWrites<string>;
  readonly cache: TieredCache<string>;
}

/** Several tabs, one after another of which may crash, over one queue, one storage and one database. */
class World {
  readonly database = new Map<string, string>();
  readonly tabs: Tab[] = [];
  /** What updates were to append, and what those that succeeded have appended. */
  readonly begun: string[] = [];
  readonly appended: string[] = [];
  readonly #browser: StubTabs;
  readonly #queue = memoryQueue();
  readonly #storage = mapStorage();
  readonly #pace: number;
  /** How long the sink takes. */
  readonly #latency: number;
  readonly #under: { readonly tab: number; isDone: boolean }[] = [];
  /** The last write of each key that a tab that led has accepted, and those begun since. */
  readonly #newest = new Map<string, (string | undefined)[]>();
  #values = 0;

  constructor(pace: number, delays: readonly number[], latency = pace) {
    let message = 0;
    this.#pace = pace;
    this.#latency = latency;
    this.#browser = new StubTabs(() => delays[(message += 1) % delays.length]!);
    for (let id = 0; id < TABS; id += 1) this.tabs.push(this.#open(id));
  }

  run(command: Exclude<Command, { do: 'turns' }>): void {
    if (this.#browser.dead.has(command.tab)) return;
    if (command.do === 'crash') {
      // Somebody is left to tell the tale.
      if (this.#browser.dead.size < TABS - 1) this.#browser.crash(command.tab);
      return;
    }
    this.#browser.current = command.tab;
    const call = { tab: command.tab, isDone: false };
    this.#under.push(call);
    void this.#do(this.tabs[command.tab]!, command)
      .catch(() => {})
      .then(() => (call.isDone = true));
  }

  get alive(): Tab[] {
    return this.tabs.filter((_tab, id) => !this.#browser.dead.has(id));
  }

  /** Ends what the living tabs have under way. */
  async settle(): Promise<void> {
    const isUnderWay = (): boolean => this.#under.some(({ tab, isDone }) => !isDone && !this.#browser.dead.has(tab));
    for (let round = 0; round < 30 || (isUnderWay() && round < 300); round += 1) await turns(50);
    await Promise.all(this.alive.map(({ cache }) => cache.idle()));
  }

  /** What may be there for `key` in the end. */
  expected(key: Key): readonly (string | undefined)[] {
    return this.#newest.get(key) ?? [undefined];
  }

  async close(): Promise<void> {
    await Promise.all(this.alive.map(({ writes }) => writes.close({ flush: false })));
    vi.unstubAllGlobals();
  }

  #open(id: number): Tab {
    this.#browser.current = id;
    // Chance tells tabs apart.
    const clock = manualClock({ random: () => (id + 1) / 10 });
    const writes = sharedWrites<string>({ name: 'writes', clock, open: () => this.#lead(id, clock) });
    const cache = new TieredCache<string>({
      clock,
      ttl: '1h',
      maxDuration: Infinity,
      storage: mortalTier(this.#storage, () => this.#browser.dead.has(id)),
      upstream: async (key) => {
        await turns(this.#pace);
        return this.database.get(key) as string;
      },
      writes,
    });
    return { writes, cache };
  }

  #lead(id: number, clock: ManualClock): WriteBehind<string> {
    const isDead = (): boolean => this.#browser.dead.has(id);
    const writes = new WriteBehind<string>({
      clock,
      flushEvery: Infinity,
      queue: mortal(this.#queue, this.#pace, isDead),
      sink: async (batch) => {
        await turns(this.#latency);
        if (isDead()) return new Promise(() => {});
        for (const { key, value } of batch) {
          if (value === undefined) this.database.delete(key);
          else this.database.set(key, value);
        }
        return undefined;
      },
    });
    this.#note(writes);
    return writes;
  }

  /** Notes what `writes` accepts, in its order. */
  #note(writes: WriteBehind<string>): void {
    const put = writes.put.bind(writes);
    const drop = writes.delete.bind(writes);
    const update = writes.update.bind(writes);
    const begin = (key: string, value: string | undefined): void => {
      this.#newest.set(key, [...(this.#newest.get(key) ?? [undefined]), value]);
    };
    const accept = (key: string, value: string | undefined): void => {
      const now = this.#newest.get(key)!;
      // One that a later one has replaced may be answered after that.
      this.#newest.set(key, now.slice(Math.max(0, now.lastIndexOf(value))));
    };
    const note = (key: string, value: string | undefined, accepted: Promise<void>): Promise<void> => {
      begin(key, value);
      return accepted.then(() => accept(key, value));
    };
    writes.update = async (key, fn, options) => {
      const noted = (current: string | undefined): string => {
        const value = fn(current);
        begin(key, value);
        return value;
      };
      const value = await update(key, noted, options);
      accept(key, value);
      return value;
    };
    writes.put = (key, value, options) => note(key, value, put(key, value, options));
    writes.delete = (key, options) => note(key, undefined, drop(key, options));
  }

  async #do({ writes, cache }: Tab, command: Exclude<Command, { do: 'turns' }>): Promise<unknown> {
    switch (command.do) {
      case 'set':
        return cache.set(command.key, this.#next());
      case 'put':
        return writes.put(command.key, this.#next());
      case 'update':
        return cache.update(command.key, () => this.#next());
      case 'append': {
        const mark = `${this.#next()},`;
        this.begun.push(mark);
        const change = (current: string | undefined): string => `${current ?? ''}${mark}`;
        const appended =
          command.through === 'cache'
            ? cache.update(command.key, change)
            : writes.update(command.key, change, {
                current: () => turns(this.#pace).then(() => this.database.get(command.key)),
              });
        return appended.then(() => this.appended.push(mark));
      }
      case 'delete':
        return writes.delete(command.key);
      case 'get':
        return cache.get(command.key);
      case 'flush':
      case 'crash':
        return writes.flush();
    }
  }

  #next(): string {
    return `${(this.#values += 1)}`;
  }
}

/** `queue` as a tab has it: calls take a while, and what a dead tab calls never comes about. */
function mortal(queue: WriteQueue, wait: number, isDead: () => boolean): WriteQueue {
  const later = async <T>(call: () => T | PromiseLike<T>): Promise<T> => {
    await turns(wait);
    return isDead() ? new Promise<never>(() => {}) : call();
  };
  return {
    name: queue.name,
    load: () => later(() => queue.load()),
    put: (writes) => later(() => queue.put(writes)),
    remove: (ids) => later(() => queue.remove(ids)),
    listDead: () => later(() => queue.listDead()),
  };
}

/** `tier` as a tab has it: a dead tab neither reads nor changes it any more. */
function mortalTier(tier: StorageTier, isDead: () => boolean): StorageTier {
  const living = <T>(call: () => T): T | Promise<never> => (isDead() ? new Promise<never>(() => {}) : call());
  return defineStorage({
    name: tier.name,
    get: (key) => living(() => tier.get(key)),
    set: (key, entry, keepUntil) => living(() => tier.set(key, entry, keepUntil)),
    setIfNewer: (key, entry, keepUntil) => living(() => tier.setIfNewer!(key, entry, keepUntil)),
    delete: (key) => living(() => tier.delete(key)),
  });
}

afterEach(() => vi.unstubAllGlobals());

test('caches of several tabs agree in the end, and with what was accepted last, whichever tabs crashed on the way', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(8),
      fc.array(fc.nat(20), { minLength: 1, maxLength: 7 }),
      fc.array(command, { maxLength: 30, size: 'max' }),
      async (pace, delays, commands) => {
        const world = new World(pace, delays);
        for (const command of commands) {
          if (command.do === 'turns') await turns(command.turns);
          else world.run(command);
        }
        await world.settle();

        for (const key of KEYS) {
          const seen = await Promise.all(world.alive.map(({ cache }) => cache.get(key)));
          expect(new Set(seen).size, `${key}: ${seen.join(' ')}`).toBe(1);
          expect(world.expected(key)).toContain(seen[0]);
        }
        await world.alive[0]!.writes.flush();
        for (const key of KEYS)
          expect([key, 'database', world.expected(key)]).toEqual([
            key,
            'database',
            expect.arrayContaining([world.database.get(key)]),
          ]);
        await world.close();
      },
    ),
    { numRuns: runs(150), timeout: 5_000 },
  );
});

const appends = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('append'),
      through: fc.constantFrom('cache', 'writes'),
      tab,
      key: fc.constant('a'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('flush'), tab }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash'), tab }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('turns'), turns: fc.nat(60) }) },
) as fc.Arbitrary<Command>;

test('an update counts once, whichever tabs make updates, deliver and crash meanwhile', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(8),
      fc.array(fc.nat(20), { minLength: 1, maxLength: 7 }),
      fc.array(appends, { maxLength: 30, size: 'max' }),
      async (pace, delays, commands) => {
        // The network takes longer than the tabs take to answer each other.
        const world = new World(pace, delays, 300);
        for (const command of commands) {
          if (command.do === 'turns') await turns(command.turns);
          else world.run(command);
        }
        await world.settle();
        await world.alive[0]!.writes.flush();

        const marks = (world.database.get('a') ?? '').split(/(?<=,)/).filter(Boolean);
        expect(marks).toEqual([...new Set(marks)]);
        expect(marks).toEqual(expect.arrayContaining(world.appended));
        expect(world.begun).toEqual(expect.arrayContaining(marks));
        await world.close();
      },
    ),
    { numRuns: runs(300), timeout: 5_000 },
  );
});
