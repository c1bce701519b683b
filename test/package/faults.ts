/** Lines of one sample file: those that the linter must refuse, each with the rule that does, and some that it must not. */
interface Sample {
  readonly refused: readonly (readonly [line: string, rule: string])[];
  readonly allowed: readonly string[];
}

const IMPORTS = 'eslint(no-restricted-imports)';
const GLOBALS = 'eslint(no-restricted-globals)';
const PROPERTIES = 'eslint(no-restricted-properties)';

function imports(refused: readonly string[], allowed: readonly string[]): Sample {
  const line = (specifier: string): string => `export * from '${specifier}';`;
  return { refused: refused.map((specifier) => [line(specifier), IMPORTS]), allowed: allowed.map(line) };
}

/** The same for a file that may import `asTypes` as types only. */
function importsAndTypes(refused: readonly string[], allowed: readonly string[], asTypes: readonly string[]): Sample {
  const sample = imports([...refused, ...asTypes], allowed);
  const types = asTypes.map((specifier) => `export type * from '${specifier}';`);
  return { ...sample, allowed: [...sample.allowed, ...types] };
}

/** By file: at least one for each entry of the lint configuration. */
export const FAULTS: Readonly<Record<string, Sample>> = {
  // The bottom, and the rooms that everything else stands on.
  'src/entry.ts': imports(
    ['./ports.js', './base/clock.js', './cache/options.js', './index.js', 'lru-cache', 'node:fs'],
    ['./errors.js', './contracts.js'],
  ),
  'src/base/events.ts': imports(
    ['../ports.js', '../flights/flight.js', '../marks/tags.js', '../read/lookup.js', '../index.js', 'lru-cache'],
    ['./key.js', '../contracts.js', '../entry.js', '../errors.js'],
  ),
  'src/flights/flight.ts': imports(
    ['../ports.js', '../marks/tags.js', '../read/lookup.js', '../cache/options.js', 'lru-cache', 'node:fs'],
    ['./options.js', '../base/clock.js', '../contracts.js', '../entry.js', '../errors.js'],
  ),
  'src/marks/held.ts': imports(
    ['../ports.js', '../flights/flight.js', '../read/lookup.js', '../change/set.js', '../tiers/guard.js'],
    ['./own-entries.js', 'lru-cache', '../base/clock.js', '../contracts.js', '../entry.js'],
  ),

  // The ports, and both their sides.
  'src/ports.ts': importsAndTypes(
    ['./read/reads.js', './tiers/guard.js', './cache/options.js', './errors.js', './index.js'],
    [],
    ['./contracts.js', './entry.js', './base/clock.js', './flights/claims.js', './marks/held.js'],
  ),
  'src/read/lookup.ts': imports(
    [
      '../change/set.js',
      '../cache/options.js',
      '../tiers/define-storage.js',
      '../fleet/coherence.js',
      '../requests/scope.js',
      '../pending/behind.js',
      '../memory/lru.js',
      '../storage/map.js',
      '../http/cache-status.js',
      '../index.js',
      'node:fs',
    ],
    ['./load-many.js', 'lru-cache', '../ports.js', '../flights/claims.js', '../marks/held.js', '../base/clock.js'],
  ),
  'src/change/set.ts': imports(
    [
      '../read/lookup.js',
      '../cache/options.js',
      '../tiers/outbox.js',
      '../fleet/coherence.js',
      '../pending/behind.js',
      'lru-cache',
    ],
    ['./changes.js', '../ports.js', '../flights/fences.js', '../marks/held.js', '../base/clock.js', '../entry.js'],
  ),
  'src/tiers/guard.ts': imports(
    [
      '../read/lookup.js',
      '../change/set.js',
      '../cache/options.js',
      '../requests/scope.js',
      '../fleet/coherence.js',
      '../storage/map.js',
      'lru-cache',
    ],
    ['./outbox.js', '../ports.js', '../marks/tags.js', '../flights/claims.js', '../base/batch.js', '../errors.js'],
  ),
  'src/fleet/coherence.ts': imports(
    ['../read/lookup.js', '../change/changes.js', '../tiers/turns.js', '../backplane/message.js', 'node:fs'],
    ['./outgoing.js', '../ports.js', '../marks/tags.js', '../base/clock.js', '../contracts.js'],
  ),
  'src/pending/writer.ts': imports(
    ['../read/lookup.js', '../change/set.js', '../requests/claim.js', '../writes/write-behind.js'],
    ['./lanes.js', '../ports.js', '../flights/claims.js', '../base/clock.js', '../contracts.js'],
  ),
  'src/requests/scope.ts': imports(
    ['../tiers/guard.js', '../read/lookup.js', '../change/set.js', '../cache/default-scope.js', 'cloudflare:workers'],
    ['./claim.js', '../tiers/outbox.js', '../ports.js', '../flights/claims.js', '../base/clock.js'],
  ),

  // Adapters.
  'src/codecs/gzip.ts': imports(
    ['../ports.js', '../tiers/define-storage.js', '../storage/map.js', '../index.js', 'node:zlib'],
    ['./chain.js', '../base/promises.js', '../contracts.js', '../errors.js'],
  ),
  'src/memory/lru.ts': imports(
    ['../storage/map.js', '../marks/held.js', '../ports.js', '../cache/options.js', 'node:fs'],
    ['lru-cache', '../base/clock.js', '../contracts.js', '../entry.js', '../errors.js'],
  ),
  'src/storage/keyv.ts': imports(
    [
      'keyv',
      '../tiers/guard.js',
      '../ports.js',
      '../memory/lru.js',
      '../backplane/message.js',
      '../redis/client.js',
      '../writes/index.js',
      'lru-cache',
      'node:sqlite',
    ],
    ['./key-name.js', '../tiers/define-storage.js', '../codecs/json.js', '../base/clock.js', '../errors.js'],
  ),
  'src/backplane/broadcast-channel.ts': imports(
    ['../fleet/coherence.js', '../redis/client.js', '../codecs/json.js', '../ports.js', 'node:worker_threads'],
    ['./message.js', '../fleet/define-backplane.js', '../base/clock.js', '../contracts.js', '../errors.js'],
  ),
  'src/redis/storage.ts': imports(
    ['redis', 'ioredis', 'node:buffer', '../storage/keyv.js', '../tiers/guard.js', '../backplane/index.js'],
    [
      './client.js',
      '../tiers/define-storage.js',
      '../fleet/define-backplane.js',
      '../backplane/message.js',
      '../codecs/envelope.js',
      '../base/clock.js',
    ],
  ),

  // The cache knows its ports, and nothing behind them.
  'src/cache/wiring.ts': imports(
    [
      '../index.js',
      '../tiers/define-storage.js',
      '../tiers/storage.js',
      '../fleet/define-backplane.js',
      '../requests/scope.js',
      '../pending/behind.js',
      '../storage/map.js',
      '../codecs/json.js',
      '../http/cache-status.js',
      '../testing/index.js',
      'node:fs',
    ],
    [
      './options.js',
      'lru-cache',
      '../ports.js',
      '../read/reads.js',
      '../change/changes.js',
      '../memory/lru.js',
      '../flights/fences.js',
      '../marks/held.js',
    ],
  ),
  'src/index.workerd.ts': imports(
    ['./cache/tiered-cache.js', './cloudflare/client.js', './tiers/guard.js', 'lru-cache', 'node:fs'],
    ['./index.js', './http/index.js', './cache/default-scope.js', './requests/scope.js', 'cloudflare:workers'],
  ),
  'src/index.ts': imports(
    [
      './ports.js',
      './marks/held.js',
      './change/set.js',
      './storage/sqlite.js',
      './codecs/gzip.js',
      './testing/index.js',
      './cloudflare/client.js',
      'lru-cache',
      'node:fs',
      'cloudflare:workers',
    ],
    [
      './cache/tiered-cache.js',
      './read/loaded.js',
      './tiers/define-storage.js',
      './fleet/define-backplane.js',
      './requests/scope.js',
      './pending/write-through.js',
      './memory/lru.js',
      './storage/map.js',
      './codecs/json.js',
      './http/cache-status.js',
    ],
  ),

  // Platforms.
  'src/writes/batcher.ts': imports(
    [
      '../cache/tiered-cache.js',
      '../read/loaded.js',
      '../index.js',
      '../storage/map.js',
      '../tiers/outbox.js',
      'node:fs',
    ],
    ['./write-behind.js', '../pending/behind.js', '../flights/singleflight.js', '../ports.js', '../base/clock.js'],
  ),
  'src/http/exchange.ts': imports(
    ['../cloudflare/client.js', '../testing/index.js', '../change/set.js', '../ports.js', 'node:http', 'lru-cache'],
    ['./cache-control.js', '../cache/tiered-cache.js', '../read/loaded.js', '../memory/lru.js', '../base/clock.js'],
  ),
  'src/browser/web-storage.ts': imports(
    [
      '../cache/tiered-cache.js',
      '../marks/held.js',
      '../tiers/guard.js',
      '../storage/map.js',
      '../cloudflare/client.js',
      'idb',
      'node:fs',
    ],
    [
      './web-area.js',
      '../codecs/envelope.js',
      '../marks/namespace.js',
      '../tiers/define-storage.js',
      '../pending/behind.js',
      '../writes/write-events.js',
      '../base/clock.js',
    ],
  ),
  'src/cloudflare/client.ts': imports(
    [
      '../change/set.js',
      '../storage/map.js',
      '../storage/keyv.js',
      '../tiers/guard.js',
      '../http/cached-fetch.js',
      '../index.js',
      'node:fs',
    ],
    [
      './alarms.js',
      'cloudflare:workers',
      '../cache/tiered-cache.js',
      '../read/loaded.js',
      '../requests/scope.js',
      '../tiers/define-storage.js',
      '../storage/sqlite-row.js',
      '../storage/key-name.js',
      '../writes/write-behind.js',
      '../http/cache-status.js',
    ],
  ),
  'src/observe/prometheus.ts': importsAndTypes(
    ['@opentelemetry/api', '../index.js', '../cache/tiered-cache.js', '../tiers/guard.js', '../ports.js', 'node:fs'],
    ['./names.js', '../base/latency.js', '../errors.js'],
    ['../read/stats.js', '../flights/flight-map.js', '../writes/write-events.js'],
  ),
  'src/testing/storage-suite.ts': importsAndTypes(
    ['node:test', 'vitest', '../index.js', '../ports.js', '../cache/tiered-cache.js', '../http/cache-status.js'],
    ['./manual-clock.js', '../tiers/define-storage.js', '../marks/namespace.js', '../base/clock.js', '../contracts.js'],
    ['../read/stats.js'],
  ),
  'src/testing/storage-suite/leases.ts': imports(
    ['vitest', '../../read/stats.js', '../../base/clock.js', '../index.js'],
    ['./checks.js', '../manual-clock.js', '../../contracts.js', '../../entry.js'],
  ),
  'src/testing/simulation/simulated-world.ts': imports(
    ['vitest', '../../read/stats.js', '../../cache/tiered-cache.js', '../../redis/scripts.js', '../index.js'],
    ['./core.js', '../timer-queue.js', '../../base/clock.js', '../../fleet/define-backplane.js'],
  ),

  // Nothing is outside the rooms, and no other way of importing gets around a rule.
  'src/newcomer.ts': imports(['./entry.js'], []),
  'src/utilities/array.ts': imports(['../entry.js'], []),
  'src/contracts.ts': {
    refused: [
      ["import { reads } from './ports.js';", IMPORTS],
      ["import type { Reads } from './read/reads.js';", IMPORTS],
      ["export { lookup } from './read/lookup.js';", IMPORTS],
      ["export const later = import('./read/lookup.js');", IMPORTS],
      ["export type Lookup = import('./read/lookup.js').Lookup;", 'typescript(consistent-type-imports)'],
      ['export default reads;', 'import(no-default-export)'],
    ],
    allowed: [],
  },
  // `import {} from` would be left of it, and bring the file along.
  'src/read/answering.ts': {
    refused: [["import { type Ask, type Role } from './reads.js';", 'typescript(no-import-type-side-effects)']],
    allowed: ["export type { Load } from './load.js';"],
  },
  'src/base/key.ts': { refused: [["export type { Batch } from './batch.js';", 'import(no-cycle)']], allowed: [] },
  'src/base/batch.ts': { refused: [["export type { Key } from './key.js';", 'import(no-cycle)']], allowed: [] },

  // Time, timers and chance.
  'src/base/clock.ts': {
    refused: [],
    allowed: ['export const now = Date.now() + performance.now() + Math.random();', 'setTimeout(() => {}, 1);'],
  },
  'src/read/load.ts': {
    refused: [
      ['export const wall = Date.now();', PROPERTIES],
      ['export const { now } = Date;', PROPERTIES],
      ['export const chance = Math.random();', PROPERTIES],
      ['export const signal = AbortSignal.timeout(1);', PROPERTIES],
      ['export const monotonic = performance.now();', GLOBALS],
      ['export const again = globalThis.performance.now();', GLOBALS],
      ['setTimeout(() => {}, 1);', GLOBALS],
      ['globalThis.setTimeout(() => {}, 1);', GLOBALS],
      ['setInterval(() => {}, 1);', GLOBALS],
      ['setImmediate(() => {});', GLOBALS],
      ['queueMicrotask(() => {});', GLOBALS],
      ["console.log('here');", 'eslint(no-console)'],
    ],
    allowed: ['export const at = new Date(0);', 'export const most = Math.max(1, 2);'],
  },

  // Promises nobody waits for, and what hides behind a cast.
  'src/read/deferred.ts': {
    refused: [
      ['Promise.reject(new Error());', 'typescript(no-floating-promises)'],
      ['export const mark = (value: any): void => value;', 'typescript(no-explicit-any)'],
      [
        'export async function swallow() { try { return fetch(""); } catch { return undefined; } }',
        'typescript(return-await)',
      ],
    ],
    allowed: ['void Promise.resolve();'],
  },

  // Tests that do not run.
  'test/sample.test.ts': {
    refused: [
      ["test.only('focused', () => {});", 'vitest(no-focused-tests)'],
      ["describe.only('focused', () => {});", 'vitest(no-focused-tests)'],
      ["test.skip('skipped', () => {});", 'vitest(no-disabled-tests)'],
      ["describe.skip('skipped', () => {});", 'vitest(no-disabled-tests)'],
      ["test.todo('later');", 'vitest(warn-todo)'],
    ],
    allowed: ["import { describe, expect, test } from 'vitest';", "test('runs', () => expect(1).toBe(1));"],
  },
};
