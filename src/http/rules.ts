import { deltaSeconds, type Directives } from './cache-control.js';
import { parseHttpDate } from './http-date.js';
import type { ReuseRules } from './stored-response.js';

/** Statuses whose responses may get a guessed lifetime (RFC 9110 §15.1), except 206, which is not stored. */
const HEURISTIC = new Set([200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]);
const HEURISTIC_FRACTION = 0.1;
const LONGEST_GUESS = 86_400_000;

/** The settings of a cache that lifetimes depend on. Durations are milliseconds. */
export interface LifetimePolicy {
  /** Whether the cache has many users. */
  readonly shared: boolean;
  /** The lifetime of responses that state none. */
  readonly defaultTtl: number;
  /** Whether to guess lifetimes from `Last-Modified`. */
  readonly heuristic: boolean;
  /** The windows of responses that state none, and don't forbid them. */
  readonly staleWhileRevalidate: number;
  readonly staleIfError: number;
}

/** A response as it arrived. */
export interface Arrival {
  readonly status: number;
  readonly headers: Headers;
  /** The directives that count here: those of `Cache-Control`, or of a targeted field. */
  readonly directives: Directives;
  /** Whether `Expires` still counts: a targeted field overrides it. */
  readonly expires: boolean;
  readonly requestedAt: number;
  readonly receivedAt: number;
}

/** Works out when the response may be reused. */
export function rulesOf(arrival: Arrival, policy: LifetimePolicy): ReuseRules {
  const { directives } = arrival;
  const { shared } = policy;
  const has = (name: string): boolean => directives.has(name);
  const never = has('must-revalidate') || directives.hasWhole('no-cache') || (shared && has('proxy-revalidate'));
  const stale = never ? 'never' : shared && has('s-maxage') ? 'explicit' : 'allowed';
  // An error that is stored must not be kept alive by what is meant to hide errors.
  const takesDefaults = stale === 'allowed' && isSound(arrival.status);
  const window = (name: string, other: number): number => {
    const said = never ? 0 : directives.seconds(name);
    return said === undefined ? (takesDefaults ? other : 0) : milliseconds(said);
  };
  return {
    lifetime: lifetimeOf(arrival, policy),
    staleWhileRevalidate: window('stale-while-revalidate', policy.staleWhileRevalidate),
    staleIfError: window('stale-if-error', policy.staleIfError),
    validate: directives.hasWhole('no-cache'),
    stale,
    immutable: has('immutable'),
  };
}

/** Whether the origin gave an answer: a value, or that there is none. */
function isSound(status: number): boolean {
  return status < 400 || status === 404 || status === 410;
}

/** The freshness lifetime in milliseconds: of a directive, else of `Expires`, else what this cache gives by itself. */
function lifetimeOf(arrival: Arrival, policy: LifetimePolicy): number {
  const { directives, headers, receivedAt } = arrival;
  const shared = policy.shared ? directives.seconds('s-maxage') : undefined;
  const said = shared ?? directives.seconds('max-age');
  if (said !== undefined) return milliseconds(said);

  const date = parseHttpDate(headers.get('date'), receivedAt) ?? receivedAt;
  const expires = arrival.expires ? headers.get('expires') : null;
  // An invalid date, the popular `0` above all, means "already expired" (§5.3).
  if (expires !== null) return (parseHttpDate(expires, receivedAt) ?? date) - date;
  return guess(arrival, policy, date);
}

function guess({ status, headers, directives, receivedAt }: Arrival, policy: LifetimePolicy, date: number): number {
  if (!HEURISTIC.has(status) && !directives.has('public')) return 0;
  const modified = policy.heuristic ? parseHttpDate(headers.get('last-modified'), receivedAt) : undefined;
  const guessed = modified === undefined ? 0 : Math.max(0, date - modified) * HEURISTIC_FRACTION;
  return Math.max(policy.defaultTtl, Math.min(guessed, LONGEST_GUESS));
}

/** Whether the status alone would allow a response without any explicit lifetime to be stored. */
export function isHeuristicStatus(status: number): boolean {
  return HEURISTIC.has(status);
}

/** The age of the response at its arrival, in milliseconds (RFC 9111 §4.2.3, `corrected_initial_age`). */
export function initialAge({
  headers,
  requestedAt,
  receivedAt,
}: Omit<Arrival, 'directives' | 'expires' | 'status'>): number {
  const date = parseHttpDate(headers.get('date'), receivedAt) ?? receivedAt;
  const apparent = Math.max(0, receivedAt - date);
  const told = deltaSeconds((headers.get('age') ?? '').split(',', 1)[0]?.trim());
  const delay = Math.max(0, receivedAt - requestedAt);
  return Math.max(apparent, milliseconds(told) + delay);
}

/** A value that makes no sense is no lifetime. */
function milliseconds(seconds: number): number {
  return Number.isNaN(seconds) ? 0 : seconds * 1_000;
}
