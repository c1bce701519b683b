import { parseHttpDate } from './http-date.js';
import { headerOf, type StoredAnswer } from './stored-response.js';

const ETAG = /^(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"$/;
const LISTED = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g;

/** Conditions of a caller that a cache can check by itself. */
const CONDITIONS = ['if-none-match', 'if-modified-since'];
/** Headers that depend on the origin's own state, or request a part only. */
const FOR_THE_ORIGIN = ['if-match', 'if-unmodified-since', 'if-range', 'range'];

/** Whether only the origin can answer a request with these headers. */
export function isForOriginOnly(headers: Headers): boolean {
  return FOR_THE_ORIGIN.some((name) => headers.has(name));
}

/** Whether the caller has a copy of its own, and wants only a newer one. */
export function isConditional(headers: Headers): boolean {
  return CONDITIONS.some((name) => headers.has(name));
}

/** `headers` for an unconditional request, or for one that validates `known` (RFC 9111 §4.3.1). */
export function originHeaders(headers: Headers, known: StoredAnswer | undefined): Headers {
  const own = new Headers(headers);
  for (const name of CONDITIONS) own.delete(name);
  if (known === undefined) return own;
  const { etag, modified } = validatorsOf(known);
  if (etag !== undefined) own.set('if-none-match', etag);
  if (modified !== undefined) own.set('if-modified-since', modified);
  return own;
}

/** Whether a conditional request can be made for `answer`. */
export function canValidate(answer: StoredAnswer): boolean {
  const { etag, modified } = validatorsOf(answer);
  return etag !== undefined || modified !== undefined;
}

/** Validators as the origin gave them, unless they are malformed and could be taken for anything. */
function validatorsOf(answer: StoredAnswer): { readonly etag?: string; readonly modified?: string } {
  const etag = headerOf(answer, 'etag');
  const modified = headerOf(answer, 'last-modified');
  return {
    ...(etag !== null && ETAG.test(etag) ? { etag } : {}),
    ...(modified !== null && parseHttpDate(modified, answer.receivedAt) !== undefined ? { modified } : {}),
  };
}

/** Whether a 304 confirms `answer`. One with another validator confirms something else (RFC 9111 §4.3.4). */
export function isAbout(answer: StoredAnswer, newer: Headers): boolean {
  const etag = newer.get('etag');
  const known = headerOf(answer, 'etag');
  if (etag !== null && known !== null) return opaque(etag) === opaque(known);
  const modified = newer.get('last-modified');
  return modified === null || etag !== null || modified === (headerOf(answer, 'last-modified') ?? modified);
}

/** Whether the answer to a `HEAD` still describes the stored body (RFC 9111 §4.3.5). */
export function describes(head: Headers, answer: StoredAnswer): boolean {
  return ['etag', 'last-modified', 'content-length'].every((name) => {
    const [told, known] = [head.get(name), headerOf(answer, name) ?? lengthOf(answer, name)];
    return told === null || known === null || told === known;
  });
}

/** The `Content-Length` that a response in chunks did not have, where its body is kept as it came. */
function lengthOf(answer: StoredAnswer, name: string): string | null {
  return name === 'content-length' && headerOf(answer, 'content-encoding') === null ? `${answer.body.length}` : null;
}

/** Whether the caller's own copy is the one with these headers, so that a 304 says it all (RFC 9110 §13.2.2). */
export function callerHasIt(asked: Headers, status: number, headers: Headers, now: number): boolean {
  if (status !== 200) return false;
  const wanted = asked.get('if-none-match');
  const etag = headers.get('etag');
  if (wanted !== null) {
    if (wanted.trim() === '*') return true;
    return etag !== null && (wanted.match(LISTED) ?? []).some((tag) => opaque(tag) === opaque(etag));
  }
  const since = parseHttpDate(asked.get('if-modified-since'), now);
  // Without that date, the response is no older than its own (RFC 9111 §4.3.2).
  const modified = parseHttpDate(headers.get('last-modified') ?? headers.get('date'), now);
  return since !== undefined && modified !== undefined && modified <= since;
}

/** Strips the mark of weak tags, for the weak comparison (RFC 9110 §8.8.3.2). */
function opaque(etag: string): string {
  return etag.startsWith('W/') ? etag.slice(2) : etag;
}
