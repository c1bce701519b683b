import type { Entry } from '../entry.js';
import { MARKER_LIFE } from '../marks/namespace.js';

/** Stays for as long as the entries might. */
const CLEAR_MARKER_LIFE = 100 * 365 * 24 * 3_600_000;
const PLANTED = 'planted';

/** The marker that all entries whose load started no later than `at` are invalid. */
export function clearedAt(at: number): Entry {
  return markerAt(at, CLEAR_MARKER_LIFE);
}

/** The marker that entries with a tag whose load started no later than `at` are invalid, or stale. */
export function taggedAt(at: number): Entry {
  return markerAt(at, MARKER_LIFE);
}

/**
 * The marker that entries whose key begins with `prefix` are invalid, if their load started no later than `at`. It is no marker of
 * a clear, and made to be {@link joined} with the one that is there.
 */
export function prefixedAt(prefix: string, at: number): Entry {
  return { ...plantedAt(at, true), tags: [textOf({ number: 0, at, prefix })] };
}

/** A part of a marker of a clear: what it says of the keys that begin with `prefix`. */
export interface Prefixed {
  /** Tells in which order it came, where tokens decide: what was loaded under a token with a lower number is older. */
  readonly number: number;
  readonly at: number;
  readonly prefix: string;
}

/** What `marker` says of `key` beside the clear. */
export function prefixedIn(marker: Entry | undefined, key: string): Prefixed[] {
  return listOf(marker).filter(({ prefix }) => key.startsWith(prefix));
}

/**
 * What storage is to hold where `there` is and `wish` comes: neither may take the place of the other. `onItsWay`: what reads are to
 * find until it does. No load can have been under a token that is yet to come.
 */
export function joined(there: Entry | undefined, wish: Entry, onItsWay = false): Entry {
  if (there === undefined) return wish;
  const clear = instantOf(wish);
  const isClear = clear !== -Infinity;
  const base = isClear && clear >= instantOf(there) ? wish : there;
  const token = tokenOf(there);
  const number = onItsWay ? Infinity : 1 + numberOf(token);
  const wished = listOf(wish).map((part) => ({ ...part, number: token === undefined ? part.number : number }));
  const kept = listOf(there).filter((part) => !wished.some((each) => covers(each, part)));
  // A clear has no token yet: all that was loaded under the one before is invalid.
  const next = token === undefined || onItsWay ? there.meta : `${idOf(token)}.${number}`;
  // Clocks decide only where tokens don't.
  const parts = [...kept, ...wished].filter(({ at }) => token !== undefined || at > instantOf(base));
  return { ...base, meta: isClear ? wish.meta : next, tags: bounded(parts).map(textOf) };
}

/** Whether an entry for `key` that claims `claim` was loaded under `marker`, and no prefix of the key was marked since. */
export function standsFor(marker: Entry, claim: string | undefined, key: string | undefined): boolean {
  const token = tokenOf(marker);
  if (key === undefined) return token === claim;
  if (token === undefined || claim === undefined || idOf(token) !== idOf(claim)) return false;
  return prefixedIn(marker, key).every(({ number }) => number <= numberOf(claim));
}

/** A marker names no more prefixes than this. Beyond it, the two named longest ago become one: what both begin with. */
const MOST_PREFIXES = 64;

function bounded(parts: Prefixed[]): Prefixed[] {
  while (parts.length > MOST_PREFIXES) {
    const [one, other] = parts.sort((a, b) => a.at - b.at).splice(0, 2) as [Prefixed, Prefixed];
    let length = 0;
    while (length < one.prefix.length && one.prefix[length] === other.prefix[length]) length += 1;
    const both = {
      number: Math.max(one.number, other.number),
      at: other.at,
      prefix: one.prefix.slice(0, length),
    };
    parts = [both, ...parts.filter((part) => !covers(both, part))];
  }
  return parts;
}

/** Whether `other` says nothing that `one` does not say. */
function covers(one: Prefixed, other: Prefixed): boolean {
  return other.prefix.startsWith(one.prefix) && other.at <= one.at && other.number <= one.number;
}

/** They are kept as tags, which no codec touches. */
function textOf({ number, at, prefix }: Prefixed): string {
  return `${number} ${at} ${prefix}`;
}

function listOf(marker: Entry | undefined): Prefixed[] {
  return (marker?.tags ?? []).map((text) => {
    const [number = '', at = ''] = text.split(' ', 2);
    return { number: Number(number), at: Number(at), prefix: text.slice(number.length + at.length + 2) };
  });
}

/** A token consists of an id, and the number of the prefix that was marked last. */
function idOf(token: string): string {
  return token.split('.', 1)[0]!;
}

function numberOf(token: string | undefined): number {
  return Number(token?.split('.')[1] ?? 0);
}

/** A marker of nothing, in the place of one that may have been lost: of a whole namespace, or of a tag. */
export function plantedAt(at: number, isClear: boolean): Entry {
  return markerAt(at, isClear ? CLEAR_MARKER_LIFE : MARKER_LIFE, PLANTED);
}

/** `marker` for one attempt at writing it. Each has a token of its own: an attempt that lands late must not bring back an earlier one. */
export function withToken(marker: Entry): Entry {
  return { ...marker, meta: `${(marker.meta as string | undefined) ?? ''} ${crypto.randomUUID()}` };
}

/** The token of a marker that was read from storage; `undefined` for one that is still on its way there. */
export function tokenOf(marker: Entry | undefined): string | undefined {
  const meta = marker?.meta;
  return typeof meta === 'string' && meta.includes(' ') ? meta : undefined;
}

/** What was invalidated by `marker`: all that is no later. */
export function instantOf(marker: Entry | undefined): number {
  if (marker === undefined || String(marker.meta).startsWith(PLANTED)) return -Infinity;
  return marker.startedAt;
}

/** A marker is an entry like any other, so that every storage can keep it: `startedAt` says which of two is later. */
function markerAt(at: number, life: number, meta?: string): Entry {
  const until = at + life;
  return {
    value: true,
    startedAt: at,
    createdAt: at,
    freshUntil: until,
    staleUntil: until,
    errorUntil: until,
    loadMs: 0,
    tags: [],
    meta,
  };
}
