import { rebuilt } from './respond.js';

/** Fields that say how a response is read, kept and chosen. They count whoever set them. */
const OF_THE_RESPONSE = new Set([
  ...['age', 'cache-tag', 'date', 'etag', 'expires', 'last-modified', 'location', 'pragma', 'surrogate-key', 'vary'],
  ...['connection', 'set-cookie', 'trailer', 'transfer-encoding'],
]);

function isOfTheResponse(name: string): boolean {
  return OF_THE_RESPONSE.has(name) || name.startsWith('content-') || name.endsWith('cache-control');
}

/**
 * `response` without what it has from `outside`, the headers that were set for one visitor before it was made: neither fields
 * nor, where the run appended to one of them, the part that was there.
 */
export function withoutVisitor(response: Response, outside: Headers): Response {
  const own = new Map<string, string>();
  for (const [name, theirs] of outside) {
    const value = isOfTheResponse(name) ? null : response.headers.get(name);
    if (value === theirs) own.set(name, '');
    else if (value?.startsWith(`${theirs}, `) === true) own.set(name, value.slice(theirs.length + 2));
  }
  if (own.size === 0) return response;
  const bare = rebuilt(response, {});
  for (const [name, value] of own) {
    if (value === '') bare.headers.delete(name);
    else bare.headers.set(name, value);
  }
  return bare;
}

/** Gives `response` the fields of `outside` that it has no value of its own for. */
export function addVisitor(response: Response, outside: Headers): void {
  for (const [name, value] of outside) {
    if (!isOfTheResponse(name) && !response.headers.has(name)) response.headers.set(name, value);
  }
  if (response.headers.has('set-cookie')) return;
  for (const cookie of outside.getSetCookie()) response.headers.append('set-cookie', cookie);
}
