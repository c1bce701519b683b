import type { Found } from '../ports.js';

/** How a read can end: fresh from a tier, stale from a tier, loaded, or a stored value instead of a failed load. */
type Status = 'hit' | 'stale' | 'miss' | 'fallback';

/** What a flight brings to all its subscribers. */
export interface Outcome<V> extends Found<V> {
  readonly status: Status;
  /** Whether the upstream was called for it. */
  readonly loaded: boolean;
  /** Whether the entry went into the tiers. */
  readonly stored: boolean;
  /** Why there is a fallback. */
  readonly error?: unknown;
}

/** Whether a read started a flight, joined one, or needed none. */
export type Role = 'none' | 'leader' | 'follower';

/** What a read found, and what it had to do for it. */
export interface Answer<V> {
  readonly outcome: Outcome<V>;
  readonly role: Role;
}

/** The name of the memory tier in the story of a read. */
export const MEMORY = 'memory';

/** A value and the story of the read that brought it. Durations are milliseconds. */
export interface Lookup<V> {
  /** `undefined` when the upstream says that there is nothing. */
  readonly value: V;
  /** `hit`: fresh from a tier. `stale`: stale from a tier. `miss`: just loaded. `fallback`: stored, because the load failed or was too slow. */
  readonly status: Status;
  /** `'memory'`, the name of a storage tier, or `'upstream'`. */
  readonly tier: string;
  /** Whether this read started a flight, joined one, or needed none. */
  readonly role: Role;
  /** Time since the value was loaded. */
  readonly age: number;
  /** How much longer it is fresh; not positive once it is stale. */
  readonly freshFor: number;
  /** How much longer it is served at all while it is reloaded; not positive once it has expired. */
  readonly staleFor: number;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly tags: readonly string[];
  readonly meta: unknown;
  /** Whether a tier keeps the value. */
  readonly stored: boolean;
  /** Why there is a fallback. */
  readonly error?: unknown;
}

/** How the read of one of several keys ended: its story, or why there is none. */
export type LookupOutcome<V> =
  | (Lookup<V> & { readonly key: string })
  | { readonly key: string; readonly status: 'failed'; readonly error: unknown };

/** The story of `answer` as told at `now`. */
export function storyOf<V>({ outcome, role }: Answer<V>, now: number): Lookup<V> {
  const { entry, tier, status, stored } = outcome;
  return {
    value: entry.value as V,
    status,
    tier,
    role,
    age: Math.max(0, now - entry.createdAt),
    freshFor: entry.freshUntil - now,
    staleFor: entry.staleUntil - now,
    createdAt: entry.createdAt,
    tags: entry.tags,
    meta: entry.meta,
    stored,
    ...('error' in outcome ? { error: outcome.error } : {}),
  };
}
