import { checkFunction, checkNames, checkObject } from '../base/checks.js';
import { misuse } from '../errors.js';

/** Options of `durableCache`. */
export interface DurableCacheClientOptions {
  /** The name of the object that a key lives in. @default the key itself: one object per key */
  readonly route?: (key: string) => string;
  /** Spreads keys over this many objects instead. Another number means other objects, all empty. An integer ≥ 1. */
  readonly shards?: number;
  /** Where new objects are created. @see https://developers.cloudflare.com/durable-objects/reference/data-location/ */
  readonly locationHint?: DurableObjectLocationHint;
  /** Where objects must stay. Those of another jurisdiction are other objects. */
  readonly jurisdiction?: DurableObjectJurisdiction;
}

const OPTIONS = ['route', 'shards', 'locationHint', 'jurisdiction'] as const;

/** Checks the options and returns the routing function. */
export function resolveRoute(options: DurableCacheClientOptions): (key: string) => string {
  checkObject('options', options);
  checkNames(options, OPTIONS);
  const { route, shards, locationHint, jurisdiction } = options;
  checkFunction('route', route);
  for (const [name, value] of Object.entries({ locationHint, jurisdiction })) {
    if (value !== undefined && typeof value !== 'string') throw misuse(name, 'a string', value);
  }
  if (shards === undefined) return route ?? ((key) => key);
  if (route !== undefined) throw misuse('shards', 'left out where there is a `route`', shards);
  if (!Number.isSafeInteger(shards) || shards < 1) throw misuse('shards', 'an integer ≥ 1', shards);
  // The number is part of the name: a key that moves away and back again must not find its old entry.
  return (key) => `shard-${hash(key) % shards}-of-${shards}`;
}

/** FNV-1a over the UTF-16 units, mixed once more. The result is the same on every machine, for ever. */
function hash(key: string): number {
  let mixed = 0x811c9dc5;
  for (let at = 0; at < key.length; at += 1) mixed = Math.imul(mixed ^ key.charCodeAt(at), 0x01000193);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x45d9f3b);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
