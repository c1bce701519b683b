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
