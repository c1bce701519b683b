/** RFC 9111 §3 and §4, and RFC 5861 §3, sentence by sentence, without any regard to how a cache is built. Seconds throughout. */

export interface ModelRequest {
  readonly authorization: boolean;
  readonly noStore: boolean;
  readonly noCache: boolean;
  readonly maxAge: number | undefined;
  readonly minFresh: number | undefined;
  /** `true` for the directive without a value. */
  readonly maxStale: number | true | undefined;
  /** The value of the one header that responses may vary by. */
  readonly language: string | undefined;
}

export interface ModelResponse {
  readonly status: number;
  readonly directives: ReadonlySet<string>;
  readonly maxAge: number | undefined;
  readonly sMaxage: number | undefined;
  readonly staleWhileRevalidate: number | undefined;
  /** Instants in seconds since the response was received; `'invalid'` for a date that is none. */
  readonly expires: number | 'invalid' | undefined;
  readonly date: number | undefined;
  readonly age: number | undefined;
  readonly vary: 'accept-language' | '*' | undefined;
}

const HEURISTICALLY_CACHEABLE = new Set([200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501]);
/** Final statuses whose meaning for caches is known here; 206 and 304 are not, since parts are not stored. */
const UNDERSTOOD = new Set([...HEURISTICALLY_CACHEABLE, 302, 307, 403, 500, 503]);

/** "A cache MUST NOT store a response to a request unless:" (§3) */
export function mayStore(request: ModelRequest, response: ModelResponse, shared: boolean): boolean {
  const { directives, status } = response;
  const has = (name: string): boolean => directives.has(name);
  const isUnderstood = UNDERSTOOD.has(status);
  if (status === 206 || status === 304 || has('must-understand')) if (!isUnderstood) return false;
  if (has('no-store') && !has('must-understand')) return false;
  if (request.noStore) return false;
  if (shared && has('private')) return false;
  if (shared && request.authorization)
    if (!has('must-revalidate') && !has('public') && response.sMaxage === undefined) return false;
  return (
    has('public') ||
    (has('private') && !shared) ||
    response.expires !== undefined ||
    response.maxAge !== undefined ||
    (shared && response.sMaxage !== undefined) ||
    HEURISTICALLY_CACHEABLE.has(status)
  );
}

/** "When presented with a request, a cache MUST NOT reuse a stored response unless:" (§4), without validation. */
export function mayReuse(
  first: ModelRequest,
  response: ModelResponse,
  second: ModelRequest,
  secondsLater: number,
  shared: boolean,
): boolean {
  const { directives } = response;
  if (response.vary === '*') return false;
  // Stricter than the standard: one user's cache holds the answers to several credentials apart.
  if (!shared && first.authorization !== second.authorization) return false;
  if (response.vary !== undefined && first.language !== second.language) return false;
  if (second.noCache || directives.has('no-cache')) return false;

  const lifetime = freshnessLifetime(response, shared);
  const age = currentAge(response, secondsLater);
  if (second.maxAge !== undefined && age > second.maxAge && !(directives.has('immutable') && lifetime > age))
    return false;
  if (second.minFresh !== undefined && lifetime - age < second.minFresh) return false;
  return lifetime > age || mayServeStale(response, second, age - lifetime, shared);
}

/** §4.2.1, without heuristics. */
export function freshnessLifetime(response: ModelResponse, shared: boolean): number {
  if (shared && response.sMaxage !== undefined) return response.sMaxage;
  if (response.maxAge !== undefined) return response.maxAge;
  if (response.expires === 'invalid') return 0;
  if (response.expires !== undefined) return response.expires - (response.date ?? 0);
  return 0;
}

/** §4.2.3; the response took no time to arrive. */
export function currentAge({ date, age }: ModelResponse, residentTime: number): number {
  const apparentAge = Math.max(0, 0 - (date ?? 0));
  const correctedInitialAge = Math.max(apparentAge, age ?? 0);
  return correctedInitialAge + residentTime;
}

/** §4.2.4: not if a directive forbids it, and only if the client or the origin allows it. */
function mayServeStale(response: ModelResponse, second: ModelRequest, staleness: number, shared: boolean): boolean {
  const { directives } = response;
  if (directives.has('must-revalidate') || (shared && directives.has('proxy-revalidate'))) return false;
  // RFC 5861 is more specific than the revalidation that `s-maxage` implies; `max-stale` is not.
  if (staleness < (response.staleWhileRevalidate ?? 0)) return true;
  if (shared && response.sMaxage !== undefined) return false;
  return second.maxStale !== undefined && (second.maxStale === true || staleness <= second.maxStale);
}
