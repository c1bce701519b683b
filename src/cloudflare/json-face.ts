import { isSoloflightError } from '../errors.js';
import { toCacheStatus } from '../http/cache-status.js';
import type { Lookup } from '../read/outcome.js';
import { LONGEST_KEY } from './question.js';

/** The part of an object that the fetch face needs. */
export interface Readable {
  /** Label in `Cache-Status`. */
  readonly name: string;
  lookup(key: string): Promise<Lookup<unknown>>;
  /** Methods that are answered. @default 'GET, HEAD' */
  readonly methods?: string;
  /** `Cache-Control` of values. @default the lifetime of each value */
  readonly cacheControl?: string | undefined;
}

/** A year: caches take longer ones for mistakes. */
const LONGEST_MAX_AGE = 31_536_000;

/**
 * Answers `GET` and `HEAD` of `?key=…` with the value as JSON. A client learns what went wrong, never where.
 *
 * @see RFC 9111 §5.1 and §5.2, RFC 5861 §3, RFC 9211
 */
export async function respond(request: Request, object: Readable): Promise<Response> {
  const { methods = 'GET, HEAD' } = object;
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return failure(405, 'METHOD_NOT_ALLOWED', `Use ${methods.replace(/, (?=\w+$)/, ' or ')}, not ${request.method}`, {
      allow: methods,
    });
  const key = keyOf(request);
  if (key instanceof Response) return key;
  const response = await answer(key, object);
  const etag = response.headers.get('etag');
  const isKnown = etag !== null && isListed(request.headers.get('if-none-match'), etag);
  if (!isKnown) return request.method === 'HEAD' ? new Response(null, response) : response;
  const headers = new Headers(response.headers);
  headers.delete('content-type');
  return new Response(null, { status: 304, headers });
}

/** Whether a list of ETags contains `etag`, which has no comma. @see RFC 9110 §13.1.2: weak tags are compared, too. */
function isListed(list: string | null, etag: string): boolean {
  return (list ?? '').split(',').some((tag) => ['*', etag, `W/${etag}`].includes(tag.trim()));
}

/** The key in the query of `request`, or the response that says what is wrong with it. */
export function keyOf(request: Request): string | Response {
  const keys = new URL(request.url).searchParams.getAll('key');
  const [key] = keys;
  if (key === undefined || keys.length > 1)
    return failure(400, 'BAD_KEY', `Expected one \`key\` in the query, got ${keys.length}`);
  if (byteLength(key) > LONGEST_KEY)
    return failure(400, 'BAD_KEY', `Expected a \`key\` of at most ${LONGEST_KEY} bytes, got ${byteLength(key)}`);
  return key;
}

/** `Age` and `Cache-Control`: how long the receivers of `lookup` may keep it. */
function agingHeaders({ age, freshFor, staleFor }: Lookup<unknown>): Record<string, string> {
  // `Age` counts against `max-age`, so `max-age` is the whole life, not the rest of it.
  const maxAge = seconds(age + freshFor);
  const stale = seconds(staleFor - freshFor);
  return {
    age: String(seconds(age)),
    'cache-control': stale > 0 ? `max-age=${maxAge}, stale-while-revalidate=${stale}` : `max-age=${maxAge}`,
  };
}

async function answer(key: string, object: Readable): Promise<Response> {
  let lookup: Lookup<unknown>;
  try {
    lookup = await object.lookup(key);
  } catch (error) {
    return refusal(error);
  }
  const { cacheControl } = object;
  const headers = {
    ...agingHeaders(lookup),
    ...(cacheControl === undefined ? {} : { 'cache-control': cacheControl }),
    'cache-status': toCacheStatus(lookup, object.name),
  };
  if (lookup.value === undefined) return failure(404, 'NOT_FOUND', 'There is nothing under this key', headers);
  try {
    const response = Response.json(lookup.value, { headers });
    response.headers.set('etag', await etagOf(JSON.stringify(lookup.value)));
    return response;
  } catch {
    return failure(500, 'SOLOFLIGHT_UNSERIALIZABLE', `The value of '${key.slice(0, 80)}' has no JSON form`);
  }
}

/** Our own refusals pass. An upstream may stay down; its message is for the logs, not for strangers. */
function refusal(error: unknown): Response {
  if (isSoloflightError(error, 'SOLOFLIGHT_UNSERIALIZABLE'))
    return failure(502, error.code, `The upstream's value of '${error.key?.slice(0, 80)}' is not plain data`);
  if (isSoloflightError(error))
    return failure(503, error.code, 'There is no answer right now. Try again in a moment', { 'retry-after': '1' });
  return failure(502, 'UPSTREAM_FAILED', 'The upstream failed, and there is no stored value to answer with');
}

/** An error as JSON that no cache keeps. */
export function failure(
  status: number,
  code: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
  details: Readonly<Record<string, unknown>> = {},
): Response {
  return Response.json(
    { error: { code, message }, ...details },
    { status, headers: { 'cache-control': 'no-store', ...headers } },
  );
}

async function etagOf(text: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
  return `"${[...digest.subarray(0, 16)].map((byte) => byte.toString(16).padStart(2, '0')).join('')}"`;
}

export function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

function seconds(ms: number): number {
  return Math.max(0, Math.min(LONGEST_MAX_AGE, Math.floor(ms / 1_000)));
}
