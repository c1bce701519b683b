import { headerTags } from './response-tags.js';
import type { StoredResponse } from './stored-response.js';

/** Rough cost of an entry apart from its contents, in bytes. */
const OVERHEAD = 512;
/** Rough cost of a pair of strings, or of a tag, apart from the text: two arrays, and the heads of both strings. */
const PER_FIELD = 112;

/**
 * The rough size of a stored response in bytes, for the `sizeOf` of an `lruMemory`: its key, URL, headers, `Vary` values,
 * tags and body. The tags of the option `prefixTags` are not known here; the default memory counts them, too.
 */
export function sizeOfResponse(response: StoredResponse, key = ''): number {
  return sizeWithTags(response, key, (_url, headers) => headerTags(headers));
}

/** {@link sizeOfResponse}, with the tags that `tagsOf` gives. */
export function sizeWithTags(
  response: StoredResponse,
  key: string,
  tagsOf: (url: string, headers: Headers) => readonly string[],
): number {
  if (response.kind === 'detour') return OVERHEAD + bytesOf(key);
  const { url, headers, vary, statusText, body } = response;
  let size = OVERHEAD + bytesOf(key) + bytesOf(url) + statusText.length + body.byteLength;
  for (const [name, value] of headers) size += PER_FIELD + name.length + value.length;
  for (const [name, value] of vary) size += PER_FIELD + name.length + (value ?? '').length;
  for (const tag of tagsOf(url, new Headers(headers as [string, string][]))) size += PER_FIELD + bytesOf(tag);
  return size;
}

/** Engines keep a text with two bytes per unit as soon as one does not fit in one. */
function bytesOf(text: string): number {
  return /[^\0-\xff]/.test(text) ? 2 * text.length : text.length;
}
