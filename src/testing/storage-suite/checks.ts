import type { Clock, MaybePromise, StorageTier } from '../../contracts.js';
import type { Entry } from '../../entry.js';
import { pictureOf } from './samples.js';

/** The part of a test runner that the suite needs: vitest, node:test, or any other. */
export interface StorageSuiteRunner {
  /** Registers a test, which fails if `run` rejects. */
  readonly test: (name: string, run: () => Promise<void>) => unknown;
  /** Throws unless both are deeply equal. */
  readonly equal: (actual: unknown, expected: unknown) => unknown;
}

/**
 * The capabilities of an adapter. They alone decide which tests are left out.
 *
 * A capability that is not mentioned has its default. A method that is declared and missing, or present and declared
 * `false`, is a failure.
 */
export interface StorageCapabilities {
  /** `true`: values come back as the same objects. `false`: a change to a value does not reach the stored one. Left out: neither is checked. */
  readonly references?: boolean;
  /** Any string is a key: the empty one, NUL, lone surrogates, 10,000 characters. `false`: only short printable ASCII is tried. @default true */
  readonly anyKey?: boolean;
  /** Keeps entries whose value is `undefined`. @default true */
  readonly absent?: boolean;
  /** Keeps `Infinity`, as an instant of an entry and as `keepUntil`. @default true */
  readonly infinity?: boolean;
  /** Keeps a value of a megabyte. @default true */
  readonly largeValues?: boolean;
  /** Keeps `Uint8Array` values. Needs more than JSON. @default false */
  readonly binary?: boolean;
  /** `delete` tells whether the key was there. @default true */
  readonly deleteReports?: boolean;
  /** Overlapping calls of `set` for one key leave one of their entries, whole. `false`: they may also leave something for which `get` throws an `UndecodableError`. @default true */
  readonly atomicSet?: boolean;
  /** Has `getMany`. @default true */
  readonly getMany?: boolean;
  /** Has `setMany`. @default true */
  readonly setMany?: boolean;
  /** Has `deleteMany`. @default true */
  readonly deleteMany?: boolean;
  /** Has `setIfNewer`. @default true */
  readonly setIfNewer?: boolean;
  /** Has `version` and `setIfVersion`, so that several processes can share the tier. @default false */
  readonly version?: boolean;
  /** Has `keys`, which tells every key of at most 300 characters. @default false */
  readonly keys?: boolean;
  /** Has `clear`. @default true */
  readonly clear?: boolean;
  /** Has `sweep`. @default true */
  readonly sweep?: boolean;
  /** Has `lease`, with leases that end by real time. @default false */
  readonly lease?: boolean;
  /** `release(true)` of a lease lets all who ask within half a second go ahead. Tested only with `lease`. @default true */
  readonly leaseOpen?: boolean;
  /** Has `close`. @default true */
  readonly close?: boolean;
  /** Closes `tier` and returns another over the same storage, which must hold the same entries. Left out: nothing outlives a tier. */
  readonly reopen?: (tier: StorageTier) => MaybePromise<StorageTier>;
}

/** Options of `storageSuite`. */
export interface StorageSuiteOptions {
  /** Returns an empty tier. Called once per test, which closes it at its end. */
  readonly open: () => MaybePromise<StorageTier>;
  /** The capabilities of the adapter. @default {}: everything that is on by default */
  readonly supports?: StorageCapabilities;
  /** The source of "now". Storages that drop outlived entries themselves go by real time. @default systemClock */
  readonly clock?: Clock;
}

/** All capabilities, with the defaults filled in. */
export type Supports = Required<Omit<StorageCapabilities, 'references' | 'reopen'>> &
  Pick<StorageCapabilities, 'references' | 'reopen'>;

/** The optional methods of a tier that `supports` declares by name. */
export const OPTIONAL_METHODS = [
  'getMany',
  'setMany',
  'deleteMany',
  'setIfNewer',
  'version',
  'keys',
  'clear',
  'sweep',
  'lease',
  'close',
] as const;

const HOUR = 3_600_000;

/** The parts that the suite's tests are made of. */
export class Checks {
  readonly supports: Supports;
  readonly #runner: StorageSuiteRunner;
  readonly #open: () => MaybePromise<StorageTier>;
  readonly #clock: Clock;

  constructor(runner: StorageSuiteRunner, open: () => MaybePromise<StorageTier>, supports: Supports, clock: Clock) {
    this.#runner = runner;
    this.#open = open;
    this.#clock = clock;
    this.supports = supports;
  }

  /** A whole number, so that tests decide about fractions. */
  now(): number {
    return Math.floor(this.#clock.now());
  }

  /** Registers a test that is given a tier of its own. */
  test(name: string, run: (tier: StorageTier) => Promise<void>): void {
    this.#runner.test(name, async () => {
      const tier = await this.#open();
      // Not in a `finally`: a failing `close` must not hide the failure of the test.
      try {
        await run(tier);
      } catch (error) {
        await closeQuietly(tier);
        throw error;
      }
      await tier.close?.();
    });
  }

  equal(actual: unknown, expected: unknown): void {
    this.#runner.equal(actual, expected);
  }

  /** Stores `entry` for an hour. */
  async set(tier: StorageTier, key: string, entry: Entry): Promise<void> {
    await tier.set(key, entry, this.now() + HOUR);
  }

  /** Fails unless `tier` holds `entry` for `key`, or nothing if that is `undefined`. */
  async holds(tier: StorageTier, key: string, entry: Entry | undefined): Promise<void> {
    this.equal({ key, entry: pictureOf(await tier.get(key)) }, { key, entry: pictureOf(entry) });
  }
}

async function closeQuietly(tier: StorageTier): Promise<void> {
  try {
    await tier.close?.();
  } catch {
    // Reported only if nothing else failed.
  }
}
