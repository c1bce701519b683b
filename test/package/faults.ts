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

/** By file: at least one for each entry of the lint configuration. */
export const FAULTS: Readonly<Record<string, Sample>> = {
  // Layers 0 to 4.
  'src/entry.ts': imports(
    ['./options.js', './stages.js', './tiered-cache.js', './index.js', 'lru-cache', 'node:fs'],
    ['./errors.js'],
  ),
  'src/events.ts': imports(
    [
      './stages.js',
      './lookup.js',
      './tiered-cache.js',
      './memory/lru.js',
      './storage/guard.js',
      'node:fs',
      'soloflight',
    ],
    ['./entry.js', './contracts.js', './options.js', './flight-map.js', 'lru-cache'],
  ),
  'src/lookup.ts': imports(
    [
      './tiered-cache.js',
      './index.js',
      './memory/lru.js',
      './storage/map.js',
      './http/cache-status.js',
      'lru-cache',
      'node:fs',
    ],
    ['./entry.js', './options.js', './load.js', './storage/guard.js'],
  ),
  'src/tiered-cache.ts': imports(
    [
      './index.js',
      './storage/map.js',
      './codecs/json.js',
      './http/cache-status.js',
      './testing/index.js',
      'lru-cache',
      'node:fs',
    ],
    ['./entry.js', './options.js', './lookup.js', './memory/lru.js', './memory/none.js', './storage/guard.js'],
  ),
  'src/writes/batcher.ts': imports(
    ['../tiered-cache.js', '../index.js', '../storage/map.js', 'node:fs'],
    ['../clock.js', '../options.js', './write-behind.js'],
  ),
  'src/index.ts': imports(
    [
      './storage/sqlite.js',
      './testing/index.js',
      './cloudflare/client.js',
      'lru-cache',
      'node:fs',
      'cloudflare:workers',
    ],
    ['./tiered-cache.js', './memory/lru.js', './storage/map.js', './codecs/json.js', './http/cache-status.js'],
  ),
  'src/http/cached-fetch.ts': imports(
    ['../cloudflare/client.js', '../testing/index.js', 'node:http', 'lru-cache'],
    ['./cache-control.js', '../tiered-cache.js', '../lookup.js', '../memory/lru.js', '../storage/map.js'],
  ),
  'src/browser/web-storage.ts': imports(
    ['../storage/sqlite.js', '../cloudflare/client.js', '../testing/index.js', 'idb', 'node:fs'],
    [
      './web-area.js',
      '../codecs/envelope.js',
      '../contracts.js',
      '../namespace.js',
      '../clock.js',
      '../writes/write-events.js',
    ],
  ),
  'src/testing/storage-suite.ts': imports(
    ['node:test', 'vitest', '../http/cache-status.js'],
    ['../contracts.js', './manual-clock.js', '../storage/map.js'],
  ),
  'src/cloudflare/client.ts': imports(
    ['../lookup.js', '../stages.js', '../storage/map.js', '../storage/sqlite.js', '../index.js', 'node:fs'],
    [
      '../storage/sqlite-row.js',
      '../writes/write-behind.js',
      'cloudflare:workers',
      './alarms.js',
      '../tiered-cache.js',
      '../singleflight.js',
      '../contracts.js',
    ],
  ),

  // Adapters.
  'src/storage/map.ts': imports(
    [
      './sqlite.js',
      './guard.js',
      '../memory/lru.js',
      '../codecs/json.js',
      '../clock.js',
      '../options.js',
      '../index.js',
      'lru-cache',
      'node:sqlite',
    ],
    ['../contracts.js', '../entry.js', '../errors.js'],
  ),
  'src/storage/guard.ts': imports(
    ['./map.js', '../options.js', '../clock.js', 'node:fs'],
    ['./breaker.js', './deadline.js', './outbox.js', '../contracts.js', '../entry.js', '../errors.js'],
  ),
  'src/storage/outbox.ts': imports(
    ['./map.js', '../options.js', '../clock.js'],
    ['./deadline.js', '../contracts.js', '../entry.js'],
  ),
  'src/storage/sqlite.ts': imports(
    ['./map.js', './guard.js', '../options.js', '../index.js', 'better-sqlite3', 'node:sqlite'],
    ['./sqlite-rows.js', '../codecs/json.js', '../codecs/payload.js', '../contracts.js', '../entry.js', '../errors.js'],
  ),
  'src/storage/sqlite-queue.ts': imports(
    ['./map.js', '../options.js', '../writes/index.js', 'node:sqlite'],
    ['./sqlite-row.js', '../codecs/json.js', '../clock.js', '../errors.js'],
  ),
  'src/storage/sqlite-rows.ts': imports(['./map.js', '../options.js'], ['./sqlite-database.js', '../errors.js']),
  'src/memory/lru.ts': imports(
    ['./none.js', '../storage/map.js', '../options.js', 'node:fs'],
    ['lru-cache', '../contracts.js', '../entry.js', '../errors.js'],
  ),
  'src/storage/keyv.ts': imports(
    ['keyv', './map.js', './guard.js', '../codecs/gzip.js', '../options.js', 'node:fs'],
    ['./key-name.js', '../codecs/json.js', '../codecs/envelope.js', '../contracts.js', '../errors.js'],
  ),
  'src/storage/unstorage.ts': imports(['unstorage', './keyv.js', '../clock.js'], ['./key-name.js', '../entry.js']),
  'src/backplane/broadcast-channel.ts': imports(
    ['./index.js', '../redis/client.js', '../clock.js', 'node:worker_threads'],
    ['./message.js', '../contracts.js', '../errors.js'],
  ),
  'src/redis/storage.ts': imports(
    ['redis', 'ioredis', 'node:buffer', '../storage/keyv.js', '../clock.js', '../options.js'],
    ['./client.js', '../codecs/envelope.js', '../contracts.js'],
  ),
  'src/codecs/json.ts': imports(['./gzip.js', './payload.js', '../options.js'], ['../contracts.js']),
  'src/codecs/gzip.ts': imports(
    ['./json.js', './index.js', '../options.js', 'node:zlib'],
    ['./chain.js', './payload.js', '../contracts.js'],
  ),
  'src/codecs/index.ts': imports(['../storage/map.js', '../index.js', 'node:zlib'], ['./gzip.js', '../contracts.js']),

  // Nothing is without a layer, and no other way of importing gets around one.
  'src/newcomer.ts': imports(['./entry.js'], []),
  'src/utilities/array.ts': imports(['../entry.js'], []),
  'src/contracts.ts': {
    refused: [
      ["import { stages } from './stages.js';", IMPORTS],
      ["import type { Stages } from './stages.js';", IMPORTS],
      ["export { lookup } from './lookup.js';", IMPORTS],
      ["export const later = import('./lookup.js');", IMPORTS],
      ["export type Lookup = import('./lookup.js').Lookup;", 'typescript(consistent-type-imports)'],
      ['export default stages;', 'import(no-default-export)'],
    ],
    allowed: [],
  },
  'src/key.ts': { refused: [["export type { Tag } from './tags.js';", 'import(no-cycle)']], allowed: [] },
  'src/tags.ts': { refused: [["export type { Key } from './key.js';", 'import(no-cycle)']], allowed: [] },

  // Time, timers and chance.
  'src/clock.ts': {
    refused: [],
    allowed: ['export const now = Date.now() + performance.now() + Math.random();', 'setTimeout(() => {}, 1);'],
  },
  'src/load.ts': {
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
  'src/deferred.ts': {
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
