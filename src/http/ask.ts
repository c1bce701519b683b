import { Directives } from './cache-control.js';
import type { StoredAnswer } from './stored-response.js';

/** The type of the platform's `fetch`. Its parts are named by it, since not every platform has names for them. */
export type Fetch = typeof globalThis.fetch;
export type FetchInput = Parameters<Fetch>[0];
export type FetchInit = NonNullable<Parameters<Fetch>[1]>;
/** How a redirect is handled. */
export type Redirect = 'follow' | 'error' | 'manual';

/** A caller's request, read from the arguments of `fetch` without consuming them. */
export interface Ask {
  readonly method: string;
  /** Absolute, without fragment. */
  readonly url: string;
  readonly headers: Headers;
  /** The headers that select a variant: those of the request, in a private cache with digests for its credentials. */
  readonly selectors: Headers;
  readonly signal: AbortSignal | undefined;
  readonly redirect: Redirect;
  readonly wants: Wants;
  /** Whether the request carries credentials. */
  readonly credentialed: boolean;
  readonly hasBody: boolean;
  /** Whether the caller needs the exact bytes of the network: for an integrity check, for example. */
  readonly special: boolean;
  /** The part of a stored answer that the request is for. Its other fields then say nothing of parts. */
  readonly part?: Part | undefined;
}

/** A request for a part of a response. */
export interface Part {
  /** The request as it came. */
  readonly asked: Ask;
  /** What to send of `answer`, whose header fields are in `headers` and may change; `undefined` for all of it. */
  readonly of: (
    answer: StoredAnswer,
    headers: Headers,
    now: number,
  ) => Pick<StoredAnswer, 'status' | 'statusText' | 'body'> | undefined;
}

/** A request's wishes about reuse: its `Cache-Control` and `Pragma` (RFC 9111 §5.2.1), and the cache mode of its `Request`. */
export interface Wants {
  /** Seconds; `undefined` if the directive is absent. A value that makes no sense counts as the strictest. */
  readonly maxAge: number | undefined;
  readonly minFresh: number | undefined;
  /** Seconds a response may be stale. */
  readonly maxStale: number | undefined;
  readonly noCache: boolean;
  readonly noStore: boolean;
  readonly onlyIfCached: boolean;
  readonly staleIfError: number;
  /** The mode `no-store`: no stored response may answer, and the answer must not be stored. */
  readonly bypass: boolean;
  /** The mode `reload`: neither reuse nor validation, but the answer may be stored. */
  readonly reload: boolean;
}

/** The wishes of a request that says nothing about reuse. */
export const NOTHING_SPECIAL: Wants = Object.freeze({
  maxAge: undefined,
  minFresh: undefined,
  maxStale: undefined,
  noCache: false,
  noStore: false,
  onlyIfCached: false,
  staleIfError: 0,
  bypass: false,
  reload: false,
});

/**
 * Reads the arguments of `fetch`. Gives `undefined` if a cache can make nothing of them: `fetch` itself then says what
 * is wrong. With `isDeaf`, the `Cache-Control` and `Pragma` of the request wish for nothing.
 */
export function readAsk(input: FetchInput, init: FetchInit | null | undefined, isDeaf = false): Ask | undefined {
  const request = typeof input === 'object' && !(input instanceof URL) ? input : undefined;
  const url = plainUrl(urlOf(input));
  if (url === undefined) return undefined;
  const headers = init?.headers === undefined ? (request?.headers ?? new Headers()) : headersFrom(init.headers);
  if (headers === undefined) return undefined;
  const credentials = init?.credentials ?? request?.credentials;
  return {
    method: normalMethod(init?.method ?? request?.method ?? 'GET'),
    url,
    headers,
    selectors: headers,
    signal: (init && 'signal' in init ? init.signal : request?.signal) ?? undefined,
    redirect: init?.redirect ?? request?.redirect ?? 'follow',
    wants: wantsOf(isDeaf ? new Headers() : headers, modeOf(init, request)),
    credentialed: headers.has('authorization') || headers.has('cookie') || credentials === 'include',
    hasBody: (init?.body ?? request?.body ?? undefined) !== undefined,
    special: (init?.integrity ?? request?.integrity ?? '') !== '',
  };
}

function urlOf(input: FetchInput): string {
  if (typeof input === 'string') return input;
  return input instanceof URL ? input.href : input.url;
}

/** `text` as a normalised absolute URL without fragment; `undefined` unless it is http(s) without user and password. */
export function plainUrl(text: string, base?: string): string | undefined {
  const from = base ?? (globalThis as { readonly location?: { readonly href?: string } }).location?.href;
  let url: URL;
  try {
    url = new URL(text, from);
  } catch {
    return undefined;
  }
  const { protocol, username, password, href } = url;
  if ((protocol !== 'https:' && protocol !== 'http:') || username !== '' || password !== '') return undefined;
  const end = href.indexOf('#');
  return end < 0 ? href : href.slice(0, end);
}

/** Normalises as `fetch` does: six methods are put in upper case, all others stay as written. */
function normalMethod(method: string): string {
  const upper = method.toUpperCase();
  return ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS'].includes(upper) ? upper : method;
}

function headersFrom(init: ConstructorParameters<typeof Headers>[0]): Headers | undefined {
  try {
    return new Headers(init);
  } catch {
    return undefined;
  }
}

/** The cache mode of a request; `'default'` where the platform has none. */
function modeOf(init: FetchInit | null | undefined, request: Request | undefined): string {
  return (init as { readonly cache?: string } | null | undefined)?.cache ?? requestMode(request) ?? 'default';
}

/** Workers' requests throw for what they don't implement. */
function requestMode(request: Request | undefined): string | undefined {
  try {
    return (request as { readonly cache?: string } | undefined)?.cache;
  } catch {
    return undefined;
  }
}

function wantsOf(headers: Headers, mode: string): Wants {
  const field = headers.get('cache-control');
  const pragma = headers.get('pragma');
  if (field === null && pragma === null && mode === 'default') return NOTHING_SPECIAL;
  const directives = new Directives(field);
  const any = mode === 'force-cache' || mode === 'only-if-cached';
  const maxAge = directives.seconds('max-age');
  const minFresh = directives.seconds('min-fresh');
  return {
    maxAge: Number.isNaN(maxAge) ? 0 : maxAge,
    minFresh: Number.isNaN(minFresh) ? Infinity : minFresh,
    maxStale: any ? Infinity : maxStaleOf(directives),
    noCache:
      mode === 'no-cache' ||
      directives.has('no-cache') ||
      (field === null && /(?:^|[\t ,])no-cache(?:$|[\t ,])/i.test(pragma ?? '')),
    noStore: directives.has('no-store'),
    onlyIfCached: mode === 'only-if-cached' || directives.has('only-if-cached'),
    staleIfError: orIfNaN(directives.seconds('stale-if-error') ?? 0, 0),
    bypass: mode === 'no-store',
    reload: mode === 'reload',
  };
}

/** `max-stale` without a value allows any staleness (§5.2.1.2). */
function maxStaleOf(directives: Directives): number | undefined {
  if (directives.hasWhole('max-stale')) return Infinity;
  const maxStale = directives.seconds('max-stale');
  return Number.isNaN(maxStale) ? undefined : maxStale;
}

function orIfNaN(value: number, other: number): number {
  return Number.isNaN(value) ? other : value;
}
