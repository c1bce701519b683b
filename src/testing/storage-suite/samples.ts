import type { Entry } from '../../entry.js';

/** An entry with something in every field, fresh for a while after `now`. */
export function sampleEntry(now: number, changes: Partial<Entry> = {}): Entry {
  return {
    value: { title: 'A post', likes: [1, 2, 3], author: { name: 'x' } },
    startedAt: now - 1_000,
    createdAt: now - 900,
    freshUntil: now + 10_000,
    staleUntil: now + 20_000,
    errorUntil: now + 30_000,
    loadMs: 100,
    tags: ['post', 'post:1'],
    meta: { etag: '"33a64df5"' },
    ...changes,
  };
}

/** The fields of `entry` that count, for comparing. Anything but an object is returned as it is. */
export function pictureOf(entry: Entry | undefined): unknown {
  if (typeof entry !== 'object' || entry === null) return entry;
  const { value, startedAt, createdAt, freshUntil, staleUntil, errorUntil, loadMs, tags, meta } = entry;
  return { value, startedAt, createdAt, freshUntil, staleUntil, errorUntil, loadMs, tags, meta };
}

/** Makes any change to `value` throw. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const part of Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}

/** Values that are easily taken for nothing, or for each other. */
export const FALSY_VALUES: readonly unknown[] = [null, 0, '', false, [], {}, 'null', 'undefined', '0', 'false'];

/** Plain data that adapters have been known to change. */
export const ODD_VALUES: readonly unknown[] = [
  -1.5,
  2 ** 53 - 1,
  2 ** 31,
  Number.MAX_VALUE,
  Number.MIN_VALUE,
  'NUL \0 inside',
  'línea\r\n\u2028tab\t"quoted" \\ back',
  '👩‍👩‍👧 \u{1f4a9} e\u0301 \u00e9 \ufeff \ufffd',
  'a lone \ud800 surrogate',
  [[], [[]], [null, { a: [{}] }]],
  { '': 1, 'a.b': 2, $set: 3, constructor: 4, toString: 5, value: 6, then: 7 },
  '{"looks":"like JSON"}',
];

/** Lists of tags that must stay apart. */
export const TAG_LISTS: readonly (readonly string[])[] = [
  [],
  [''],
  ['a', 'b'],
  ['b', 'a'],
  ['a,b'],
  ['a b'],
  ['a', 'a'],
  ['"'],
  ['\0', '\ud800', 'é'],
];

/** Metadata that must stay apart. */
export const META: readonly unknown[] = [
  undefined,
  null,
  0,
  '',
  false,
  'text',
  [],
  {},
  { etag: 'W/"1"', nested: { list: [1, null] } },
];
