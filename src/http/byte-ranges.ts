import type { Ask, Part } from './ask.js';
import { parseHttpDate } from './http-date.js';
import type { Feature, HttpFeature } from './settings.js';
import { callerHasIt } from './validation.js';

/** The first and the last byte of a part. */
type Range = readonly [first: number, last: number];

/** A list of ranges of bytes. `\d{1,15}` stays below what numbers hold exactly. */
const SPECIFIER = /^(?:(\d{1,15})-(\d{0,15})|-(\d{1,15}))$/;

/**
 * Lets an HTTP cache answer requests for ranges of bytes from the whole bodies that it has stored: `206` with one part, `416`,
 * and all of it where `If-Range` or the form of the request says so. For the option `use`.
 *
 * Several ranges that don't touch get the whole body. What is not stored is asked of the origin as it is, and a `206` of
 * the origin is not stored. A body with a `Content-Encoding` is never cut: `fetch` has decoded it, or may have.
 *
 * @see RFC 9110 §14, RFC 9111 §3.3
 */
export function byteRanges(): HttpFeature {
  const feature: Feature = { name: 'byteRanges', prepare: withPart };
  return feature;
}

function withPart(asked: Ask): Ask {
  const { headers } = asked;
  const range = headers.get('range');
  if (range === null && !headers.has('if-range')) return asked;
  const own = new Headers(headers);
  own.delete('range');
  own.delete('if-range');
  // Only GET knows of ranges, and `If-Range` means nothing without one (§13.1.5, §14.2).
  if (range === null || asked.method !== 'GET') return { ...asked, headers: own };
  return { ...asked, headers: own, part: { asked, of: partOf(headers, range) } };
}

function partOf(asked: Headers, range: string): Part['of'] {
  return (answer, headers, now) => {
    const { status, body } = answer;
    const length = body.byteLength;
    const isWhole = status === 200 && length > 0 && !headers.has('content-encoding') && !headers.has('content-range');
    // The conditions of a client that has the body come first, and lead to a 304 (§13.2.2).
    if (!isWhole || callerHasIt(asked, status, headers, now) || !isTheSame(asked.get('if-range'), headers, now))
      return undefined;
    const ranges = rangesOf(range, length);
    if (ranges === undefined || ranges.length > 1) return undefined;
    const [only] = ranges;
    headers.set('content-range', `bytes ${only === undefined ? '*' : only.join('-')}/${length}`);
    for (const name of ['content-md5', 'content-digest']) headers.delete(name);
    const bytes = only === undefined ? new Uint8Array() : body.subarray(only[0], only[1] + 1);
    headers.set('content-length', String(bytes.byteLength));
    if (only !== undefined) return { status: 206, statusText: 'Partial Content', body: bytes };
    // What other caches keep for this URL is the whole body, not that one client asked beyond its end.
    for (const name of [...headers.keys()].filter((each) => each.endsWith('cache-control'))) headers.delete(name);
    for (const name of ['content-type', 'expires', 'etag', 'last-modified']) headers.delete(name);
    headers.set('cache-control', 'no-store');
    return { status: 416, statusText: 'Range Not Satisfiable', body: bytes };
  };
}

/** Whether the client's parts are of the body with these headers: by a strong comparison, and a date only if it is as good (§13.1.5). */
function isTheSame(condition: string | null, headers: Headers, now: number): boolean {
  if (condition === null) return true;
  if (condition.startsWith('"')) return condition === headers.get('etag');
  const modified = headers.get('last-modified');
  const [at, made] = [parseHttpDate(modified, now), parseHttpDate(headers.get('date'), now)];
  // Two versions of one second have the same date (§8.8.2.2).
  return condition === modified && at !== undefined && made !== undefined && made - at >= 1_000;
}

/**
 * The ranges that `field` asks for, those that touch put together; none if the body has nothing of it. `undefined` if the
 * field is to be ignored: another unit, or no valid list.
 */
function rangesOf(field: string, length: number): Range[] | undefined {
  const equals = field.indexOf('=');
  if (field.slice(0, equals).trim().toLowerCase() !== 'bytes') return undefined;
  const members = field
    .slice(equals + 1)
    .split(',')
    .map((member) => member.trim());
  const found: Range[] = [];
  for (const member of members.filter((text) => text !== '')) {
    const [, first, last, suffix] = SPECIFIER.exec(member) ?? [];
    if (first === undefined && suffix === undefined) return undefined;
    const from = first === undefined ? Math.max(0, length - Number(suffix)) : Number(first);
    const to = first === undefined || !last ? Infinity : Number(last);
    if (to < from) return undefined;
    if (from < length) found.push([from, Math.min(to, length - 1)]);
  }
  return members.every((text) => text === '') ? undefined : joined(found);
}

/** Ranges that overlap or follow each other, as one. */
function joined(ranges: readonly Range[]): Range[] {
  const whole: Range[] = [];
  for (const [first, last] of ranges.toSorted(([one], [other]) => one - other)) {
    const before = whole.at(-1);
    if (before !== undefined && first <= before[1] + 1)
      whole[whole.length - 1] = [before[0], Math.max(before[1], last)];
    else whole.push([first, last]);
  }
  return whole;
}
