import { Directives } from './cache-control.js';

/** One member of a structured dictionary: a key, then maybe a value; parameters are allowed and mean nothing here. */
const KEY = String.raw`[a-z*][a-z0-9_\-.*]*`;
const TOKEN = String.raw`[A-Za-z*][!#$%&'*+\-.^_\`|~:/\w]*`;
const STRING = String.raw`"(?:[ !#-\[\]-~]|\\["\\])*"`;
const INTEGER = String.raw`-?\d{1,15}`;
const BARE = String.raw`(?:${INTEGER}(?:\.\d{1,3})?|${STRING}|${TOKEN}|:[A-Za-z0-9+/=]*:|\?[01])`;
/** Directives whose value is an integer. A field with another type there makes no sense as a whole. */
const OF_SECONDS = new Set(['max-age', 's-maxage', 'stale-while-revalidate', 'stale-if-error']);
const MEMBER = new RegExp(String.raw`^(${KEY})(?:=(${BARE}))?((?:;[ ]*${KEY}(?:=${BARE})?)*)[\t ]*(?:,[\t ]*(?=.)|$)`);

/**
 * The directives of the first field among `names` that exists and makes sense; `undefined` if there is none, in which
 * case `Cache-Control` counts.
 *
 * A targeted field is a structured dictionary. One that can't be parsed is ignored as a whole, and so is one without
 * any directive.
 *
 * @see RFC 9213 §2.2
 */
export function targetedDirectives(headers: Headers, names: readonly string[]): Directives | undefined {
  for (const name of names) {
    const field = headers.get(name);
    const members = field === null ? undefined : parseDictionary(field);
    if (members !== undefined && members.size > 0) return new Directives(asCacheControl(members));
  }
  return undefined;
}

/** Keys and the text of their values; the last of equal keys wins. `undefined` for anything but a dictionary. */
function parseDictionary(field: string): Map<string, string | undefined> | undefined {
  const members = new Map<string, string | undefined>();
  let rest = field.trim();
  while (rest !== '') {
    const match = MEMBER.exec(rest);
    if (match === null) return undefined;
    const [all, key = '', value] = match;
    if (OF_SECONDS.has(key) && !/^-?\d+$/.test(value ?? '')) return undefined;
    members.delete(key);
    members.set(key, value);
    rest = rest.slice(all.length);
  }
  return members;
}

/** `?0` switches a directive off. */
function asCacheControl(members: ReadonlyMap<string, string | undefined>): string {
  const directives: string[] = [];
  for (const [key, value] of members) {
    if (value === '?0') continue;
    directives.push(value === undefined || value === '?1' ? key : `${key}=${value}`);
  }
  return directives.join(', ');
}
