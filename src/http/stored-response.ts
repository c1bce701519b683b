import { isBytes } from '../base/realm.js';
/** A header field: lower-case name, value. Several with one name keep their order. */
export type Field = readonly [name: string, value: string];

/**
 * The value that `cachedFetch` keeps in its cache: plain data, fit for every tier and for `structuredClone`.
 *
 * Opaque: the fields may change between versions. A value of an older version is then a miss.
 */
export type StoredResponse = StoredAnswer | Detour;

/** A stored response. Durations are milliseconds, instants epoch milliseconds. */
export interface StoredAnswer {
  readonly kind: 'answer.2';
  /** Whether it was stored under the rules for a cache of many users. */
  readonly shared: boolean;
  readonly method: 'GET' | 'HEAD';
  readonly url: string;
  readonly status: number;
  readonly statusText: string;
  readonly headers: readonly Field[];
  readonly body: Uint8Array;
  /** Its age when it arrived (RFC 9111 §4.2.3, `corrected_initial_age`). */
  readonly initialAge: number;
  readonly receivedAt: number;
  readonly rules: ReuseRules;
  /** The request headers that selected it: each name in `Vary` with the request's value, `null` if it had none. */
  readonly vary: readonly (readonly [name: string, value: string | null])[];
  /** Part of the keys of all variants, which are out of reach once the response that leads to them is gone. */
  readonly generation: string;
}

/** The origin's rules for reusing a response, worked out when it arrived. Durations are milliseconds. */
export interface ReuseRules {
  /** Freshness lifetime (RFC 9111 §4.2.1). */
  readonly lifetime: number;
  readonly staleWhileRevalidate: number;
  readonly staleIfError: number;
  /** Unqualified `no-cache`: never without validation. */
  readonly validate: boolean;
  /** Whether it may be served stale: always, only where RFC 5861 says so (shared `s-maxage`), or never. */
  readonly stale: 'allowed' | 'explicit' | 'never';
  readonly immutable: boolean;
}

/** The outcome of a load whose answer belongs to the caller that made it: all others go forward on their own. Never stored. */
interface Detour {
  readonly kind: 'detour';
  readonly why: string;
}

/** Answers known to be whole, so that an answer in memory is checked once, not at every hit. */
const whole = new WeakSet<object>();

/**
 * `value` as found in a tier, if it is a whole answer of this version that this cache may use. A shared cache must not
 * use what a private one stored in the same place.
 */
export function asAnswer(value: unknown, shared: boolean): StoredAnswer | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const answer = value as StoredAnswer;
  if (!whole.has(value)) {
    if (!isWhole(answer)) return undefined;
    whole.add(value);
  }
  return answer.shared || !shared ? answer : undefined;
}

/** Checks every field, since storage may hold anything. */
function isWhole(answer: Partial<StoredAnswer>): boolean {
  const { kind, method, url, status = 0, statusText, body, generation, initialAge, receivedAt, rules, vary } = answer;
  if (kind !== 'answer.2' || (method !== 'GET' && method !== 'HEAD') || !isBytes(body)) return false;
  const texts = [url, statusText, generation];
  const numbers = [status, initialAge, receivedAt, rules?.lifetime, rules?.staleWhileRevalidate, rules?.staleIfError];
  if (!texts.every((text) => typeof text === 'string') || !numbers.every(Number.isFinite)) return false;
  return Number.isInteger(status) && status >= 200 && status <= 599 && areFields(answer.headers) && isVary(vary);
}

function areFields(fields: unknown): boolean {
  try {
    return Array.isArray(fields) && new Headers(fields as [string, string][]) instanceof Headers;
  } catch {
    return false;
  }
}

function isVary(vary: unknown): boolean {
  return Array.isArray(vary) && vary.every((pair: unknown) => Array.isArray(pair) && isFieldName(pair[0]));
}

/** Whether `name` can be the name of a header; `Headers` throws at anything else. */
export function isFieldName(name: unknown): boolean {
  return typeof name === 'string' && /^[!#$%&'*+\-.^_`|~\w]+$/.test(name);
}

/** The value of a stored header, `null` if there is none. Several are joined as `Headers.get` does. */
export function headerOf(answer: StoredAnswer, name: string): string | null {
  const values = answer.headers.filter(([field]) => field === name).map(([, value]) => value);
  return values.length === 0 ? null : values.join(', ');
}

/** The age of `answer` at `now` (RFC 9111 §4.2.3, `current_age`). A clock that went back makes it no younger than at arrival. */
export function ageOf(answer: StoredAnswer, now: number): number {
  return answer.initialAge + Math.max(0, now - answer.receivedAt);
}
