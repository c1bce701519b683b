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

/** The way from keys to objects. */
export interface Route {
  readonly nameFor: (key: string) => string;
  /** The names of all objects, where these are known. */
  readonly names: readonly string[] | undefined;
}

/** Checks the options and returns the way from keys to objects. */
export function resolveRoute(options: DurableCacheClientOptions): Route {
  checkObject('options', options);
  checkNames(options, OPTIONS);
  const { route, shards, locationHint, jurisdiction } = options;
  checkFunction('route', route);
  for (const [name, value] of Object.entries({ locationHint, jurisdiction })) {
    if (value !== undefined && typeof value !== 'string') throw misuse(name, 'a string', value);
  }
  if (shards === undefined) return { nameFor: route ?? ((key) => key), names: undefined };
  if (route !== undefined) throw misuse('shards', 'left out where there is a `route`', shards);
  if (!Number.isSafeInteger(shards) || shards < 1) throw misuse('shards', 'an integer ≥ 1', shards);
  // The number is part of the name: a key that moves away and back again must not find its old entry.
  const nameOf = (shard: number): string => `shard-${shard}-of-${shards}`;
  return {
    nameFor: (key) => nameOf(hash(key) % shards),
    get names() {
      return Array.from({ length: shards }, (_, shard) => nameOf(shard));
    },
  };
}

/** FNV-1a over the UTF-16 units, mixed once more. The result is the same on every machine, for ever. */
function hash(key: string): number {
  let mixed = 0x811c9dc5;
  for (let at = 0; at < key.length; at += 1) mixed = Math.imul(mixed ^ key.charCodeAt(at), 0x01000193);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x45d9f3b);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
