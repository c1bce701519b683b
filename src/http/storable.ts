import { Directives } from './cache-control.js';
import { isHeuristicStatus, rulesOf, type Arrival, type LifetimePolicy } from './rules.js';
import type { ReuseRules } from './stored-response.js';
import { targetedDirectives } from './targeted.js';
import { varyNames } from './vary.js';

/** The settings of a cache that storing depends on. */
export interface StoringPolicy extends LifetimePolicy {
  /** Fields that speak to caches like this one and override `Cache-Control`, most important first (RFC 9213). */
  readonly targeted: readonly string[];
  /** How long a response is kept once it is stale, in milliseconds. */
  readonly retention: number;
  /** The operator's own lifetime for a response, in milliseconds. */
  readonly lifetimeOf: (asked: AskedWith, response: Pick<Arrival, 'status' | 'headers'>) => number | undefined;
}

/** The parts of a request that storing its response depends on. */
export interface AskedWith {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly credentialed: boolean;
  readonly wants: { readonly noStore: boolean };
}

/** Whether a response may be stored. If so, how it may be reused, and without which of its fields; if not, why. */
export type Storability =
  | { readonly store: true; readonly rules: ReuseRules; readonly hidden: readonly string[]; readonly keep: number }
  | { readonly store: false; readonly why: string };

/** Final and complete statuses whose meaning for caching is understood (RFC 9111 §3). */
const UNDERSTOOD = new Set([
  200, 201, 202, 203, 204, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 410, 414, 421, 422, 429, 451, 500,
  501, 502, 503, 504,
]);

/** A media type whose bodies are endless, whatever their length. */
const ENDLESS = /^text\/event-stream\b/i;

/**
 * Decides whether a response may be stored, and for which uses.
 *
 * Stricter than the standard in three points: a shared cache stores no response that sets a cookie, a `Cookie` in the
 * request counts like `Authorization`, and a response of no use, neither fresh nor after validation, is not kept.
 *
 * @see RFC 9111 §3 and §3.5
 */
export function storability(
  asked: AskedWith,
  response: Omit<Arrival, 'directives' | 'expires'>,
  policy: StoringPolicy,
): Storability {
  const { headers, status } = response;
  const targeted = targetedDirectives(headers, policy.targeted);
  const directives = targeted ?? new Directives(headers.get('cache-control'));
  const why = objection(asked, { status, headers }, directives, policy);
  if (why !== undefined) return { store: false, why };

  const own = policy.lifetimeOf(asked, response);
  const said = rulesOf({ ...response, directives, expires: targeted === undefined }, policy);
  const rules = own === undefined ? said : { ...said, lifetime: own };
  const validators = headers.has('etag') || headers.has('last-modified');
  const expires = targeted === undefined && headers.has('expires');
  const isStated = own !== undefined || expires || isStatedCacheable(status, directives, policy);
  const isEverFresh = rules.lifetime > 0 && !rules.validate;
  // Without a validator it still leads to its variants, a HEAD may renew it, and a client may take it stale.
  const retention = validators || isEverFresh ? policy.retention : 0;
  const keep = Math.max(rules.staleWhileRevalidate, rules.staleIfError, retention);
  if (!isStated || (!isEverFresh && keep === 0)) return { store: false, why: 'no-lifetime' };
  const hidden = [...directives.fieldNames('no-cache'), ...(policy.shared ? directives.fieldNames('private') : [])];
  return { store: true, rules, hidden, keep };
}

/** The reason not to store, if there is one. */
function objection(
  { credentialed, wants }: AskedWith,
  { status, headers }: Pick<Arrival, 'status' | 'headers'>,
  directives: Directives,
  { shared }: StoringPolicy,
): string | undefined {
  if (wants.noStore) return 'request-no-store';
  const understood = UNDERSTOOD.has(status);
  if (status < 200 || status === 206 || status === 304) return 'status';
  if (directives.has('must-understand') && !understood) return 'must-understand';
  // A cache that knows `must-understand` may store statuses that it understands (§5.2.2.3).
  if (directives.has('no-store') && !(directives.has('must-understand') && understood)) return 'no-store';
  if (varyNames(headers)[0] === '*') return 'vary';
  if (ENDLESS.test(headers.get('content-type') ?? '')) return 'endless';
  if (!shared) return undefined;
  if (directives.hasWhole('private')) return 'private';
  if (credentialed && !isExplicitlyShared(directives)) return 'credentials';
  const cookieIsHidden = [...directives.fieldNames('private'), ...directives.fieldNames('no-cache')].includes(
    'set-cookie',
  );
  return headers.has('set-cookie') && !cookieIsHidden ? 'set-cookie' : undefined;
}

/** Whether the response to a request with credentials may be served to others (§3.5). */
function isExplicitlyShared(directives: Directives): boolean {
  return directives.has('public') || directives.has('s-maxage') || directives.has('must-revalidate');
}

/** The last condition of §3: something must say that the response may be stored. */
function isStatedCacheable(status: number, directives: Directives, { shared }: StoringPolicy): boolean {
  if (directives.has('public') || directives.has('max-age')) return true;
  if (shared ? directives.has('s-maxage') : directives.has('private')) return true;
  return isHeuristicStatus(status);
}
