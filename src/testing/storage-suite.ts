import { systemClock } from '../base/clock.js';
import type { StorageTier } from '../contracts.js';
import { misuse } from '../errors.js';
import { namespaced } from './namespaced.js';
import {
  Checks,
  OPTIONAL_METHODS,
  type StorageCapabilities,
  type StorageSuiteOptions,
  type StorageSuiteRunner,
  type Supports,
} from './storage-suite/checks.js';
import { addLeaseTests } from './storage-suite/leases.js';
import { addKeysTests } from './storage-suite/listing.js';
import { addBatchTests } from './storage-suite/many-keys.js';
import { addNamespaceTests } from './storage-suite/namespaces.js';
import { addChangeTests, addConcurrencyTests, addEntryTests, addKeyTests } from './storage-suite/one-key.js';
import { addLifeTests, addSetIfNewerTests, addSweepTests } from './storage-suite/upkeep.js';
import { addVersionTests } from './storage-suite/versions.js';

const DEFAULTS: Supports = Object.freeze({
  anyKey: true,
  absent: true,
  infinity: true,
  largeValues: true,
  binary: false,
  deleteReports: true,
  atomicSet: true,
  getMany: true,
  setMany: true,
  deleteMany: true,
  setIfNewer: true,
  version: false,
  keys: false,
  clear: true,
  sweep: true,
  lease: false,
  leaseOpen: true,
  close: true,
});

/**
 * Registers the tests that every storage adapter must pass.
 *
 * Each test opens a tier of its own. Everything about keys and entries is tested twice, the second time in a namespace
 * (`in a namespace: …`), which is how caches share a storage: every key then has a prefix. `supports` alone decides which
 * tests are left out, never the methods that an adapter happens to have, so that a lost method is noticed.
 *
 * @example
 * ```ts
 * import { expect, test } from 'vitest';
 * import { mapStorage } from 'soloflight';
 * import { storageSuite } from 'soloflight/testing';
 *
 * storageSuite(
 *   { test, equal: (actual, expected) => expect(actual).toEqual(expected) }, // node:test: { test, equal: assert.deepStrictEqual }
 *   { open: () => mapStorage(), supports: { references: true, version: true } },
 * );
 * ```
 *
 * @throws TypeError for an option that makes no sense.
 */
export function storageSuite(runner: StorageSuiteRunner, options: StorageSuiteOptions): void {
  const checks = resolve(runner, options);
  addRunnerTest(runner);
  addTests(checks);
  addNamespaceTests(checks);
  addTests(insideNamespace(runner, checks, options));
}

/** The same checks on tiers that are each a namespace of one from `open`. */
function insideNamespace(runner: StorageSuiteRunner, bare: Checks, { open, clock }: StorageSuiteOptions): Checks {
  const { reopen, ...supports } = bare.supports;
  const whole = new WeakMap<StorageTier, StorageTier>();
  const partOf = (tier: StorageTier): StorageTier => {
    const part = namespaced(tier, ['in', 'a:namespace']);
    whole.set(part, tier);
    return part;
  };
  return new Checks(
    { test: (name, run) => runner.test(`in a namespace: ${name}`, run), equal: runner.equal },
    async () => partOf(await open()),
    {
      ...supports,
      // The cache empties a namespace by other means; the tier's own `clear` would empty all of them.
      clear: false,
      ...(reopen && { reopen: async (part) => partOf(await reopen(whole.get(part) as StorageTier)) }),
    },
    clock ?? systemClock,
  );
}

function addRunnerTest(runner: StorageSuiteRunner): void {
  // A suite whose `equal` answers instead of throwing would pass anything.
  runner.test('the test runner notices differences', async () => {
    for (const [actual, expected] of [
      [1, 2],
      [{ a: [1] }, { a: [2] }],
      [undefined, null],
      [[1], []],
    ]) {
      if (!throws(() => runner.equal(actual, expected)))
        throw misuse('runner.equal', 'a function that throws for values that are not deeply equal', runner.equal);
    }
    runner.equal({ a: [undefined, Infinity] }, { a: [undefined, Infinity] });
  });
}

function addTests(checks: Checks): void {
  checks.test('the tier has a name, and the methods that `supports` declares and no others', async (tier) => {
    for (const method of ['get', 'set', 'delete'] as const) {
      if (typeof tier[method] !== 'function') throw new Error(`The tier has no method \`${method}\``);
    }
    if (typeof tier.name !== 'string' || tier.name === '') throw misuse('name', 'a non-empty string', tier.name);
    for (const method of OPTIONAL_METHODS) checkDeclared(tier, method, checks.supports[method]);
  });

  addEntryTests(checks);
  addChangeTests(checks);
  addKeyTests(checks);
  addConcurrencyTests(checks);
  addBatchTests(checks);
  addSetIfNewerTests(checks);
  addVersionTests(checks);
  addKeysTests(checks);
  addSweepTests(checks);
  addLeaseTests(checks);
  addLifeTests(checks);
}

function resolve(runner: StorageSuiteRunner, options: StorageSuiteOptions): Checks {
  if (typeof runner?.test !== 'function') throw misuse('runner.test', 'a function', runner?.test);
  if (typeof runner.equal !== 'function') throw misuse('runner.equal', 'a function', runner.equal);
  if (typeof options?.open !== 'function')
    throw misuse('open', 'a function that returns an empty storage tier', options?.open);
  const { open, supports = {}, clock = systemClock } = options;
  checkSupports(supports);
  return new Checks(runner, open, { ...DEFAULTS, ...supports }, clock);
}

/** Refuses unknown names: a misspelt capability would silently count as the default. */
function checkSupports(supports: StorageCapabilities): void {
  if (typeof supports !== 'object' || supports === null) throw misuse('supports', 'an object', supports);
  const { reopen, ...others } = supports;
  if (reopen !== undefined && typeof reopen !== 'function') throw misuse('supports.reopen', 'a function', reopen);
  for (const [name, value] of Object.entries(others)) {
    if (name !== 'references' && !(name in DEFAULTS))
      throw misuse('supports', `made of ${['references', ...Object.keys(DEFAULTS), 'reopen'].join(', ')}`, name);
    if (typeof value !== 'boolean') throw misuse(`supports.${name}`, 'a boolean', value);
  }
}

function checkDeclared(tier: StorageTier, method: (typeof OPTIONAL_METHODS)[number], declared: boolean): void {
  const there = typeof tier[method] === 'function';
  if (declared && !there)
    throw new Error(`The tier has no \`${method}\`. Add it, or say \`${method}: false\` in \`supports\``);
  if (!declared && there)
    throw new Error(
      `The tier has \`${method}\`, and \`supports\` says that it does not. Remove \`${method}: false\`, so that it is tested`,
    );
}

function throws(run: () => unknown): boolean {
  try {
    run();
    return false;
  } catch {
    return true;
  }
}
