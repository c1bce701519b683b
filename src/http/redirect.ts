import { plainUrl, type Ask } from './ask.js';

/** The most redirects that `fetch` follows. */
const MOST = 20;

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** Headers that a redirect must not carry to another origin. */
const FOR_ONE_ORIGIN = ['authorization', 'cookie', 'host', 'proxy-authorization'];

/** Sends one request through the cache, without following redirects. */
export type Hop = (ask: Ask, isFirst: boolean) => Promise<Response>;

/** A response at the end of its redirects, and the URL of that. */
export interface Arrived {
  readonly response: Response;
  readonly url: string;
  readonly redirected: boolean;
}

/**
 * Follows redirects as `fetch` does. Each step is a request through the cache.
 *
 * Only then are the redirects themselves reused no longer than their origin allows.
 */
export async function followed(first: Ask, hop: Hop): Promise<Arrived> {
  let ask = first;
  for (let hops = 0; hops <= MOST; hops += 1) {
    const response = await hop(ask, hops === 0);
    const location = REDIRECTS.has(response.status) ? response.headers.get('location') : null;
    if (location === null || first.redirect === 'manual') return { response, url: ask.url, redirected: hops > 0 };
    void response.body?.cancel().catch(() => {});
    if (first.redirect === 'error') throw failure('unexpected redirect');
    ask = next(ask, location);
  }
  throw failure('redirect count exceeded');
}

function next(ask: Ask, location: string): Ask {
  const url = plainUrl(location, ask.url);
  if (url === undefined) throw failure('URL scheme must be a HTTP(S) scheme');
  if (new URL(url).origin === new URL(ask.url).origin) return { ...ask, url };
  const headers = new Headers(ask.headers);
  for (const name of FOR_ONE_ORIGIN) headers.delete(name);
  return { ...ask, url, headers, selectors: headers, credentialed: false };
}

/** Fails with the messages of Node's `fetch`. */
function failure(why: string): TypeError {
  return new TypeError('fetch failed', { cause: new Error(why) });
}
