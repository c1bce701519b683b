import { checkNames, checkObject } from '../base/checks.js';
import { misuse } from '../errors.js';
import type { Feature, HttpFeature } from './settings.js';

/** Options of {@link normalize}. */
export interface NormalizeOptions {
  /** The languages that the origin has, such as `['en', 'de']`. @default `Accept-Language` stays as it is */
  readonly languages?: readonly string[];
  /** The codings that the origin has, the preferred one first, such as `['br', 'gzip']`. @default `Accept-Encoding` stays as it is */
  readonly encodings?: readonly string[];
}

/** A member of a list with weights. */
interface Wish {
  readonly name: string;
  readonly weight: number;
}

/**
 * Puts the one value into `Accept-Language` and `Accept-Encoding` that decides which of the origin's variants a client gets, so that
 * a URL has as many variants as the origin, and not as many as there are browsers. The origin sees the same value.
 *
 * A client that wants none of the languages gets what the origin sends to who names none; one that takes none of the codings
 * is sent `identity`. Requests without these fields stay as they are. For the option `use`.
 *
 * @throws TypeError for an option that makes no sense.
 * @see RFC 9110 §12.5.3, §12.5.4, RFC 4647 §3.4
 */
export function normalize(options: NormalizeOptions): HttpFeature {
  checkObject('options', options);
  checkNames(options, ['languages', 'encodings']);
  const { languages, encodings } = options;
  for (const [name, list] of Object.entries({ languages, encodings })) {
    const isList = Array.isArray(list) && list.length > 0 && list.every((one) => /^[\w-]+$/.test(String(one)));
    if (list !== undefined && !isList) throw misuse(name, 'an array of names, at least one', list);
  }
  const feature: Feature = {
    name: 'normalize',
    prepare: (ask) => {
      const headers = new Headers(ask.headers);
      if (languages !== undefined) replace(headers, 'accept-language', (wishes) => languageFor(wishes, languages));
      if (encodings !== undefined)
        replace(headers, 'accept-encoding', (wishes) => encodingFor(wishes, encodings) ?? 'identity');
      return { ...ask, headers, selectors: headers };
    },
  };
  return feature;
}

function replace(headers: Headers, field: string, choose: (wishes: readonly Wish[]) => string | undefined): void {
  const value = headers.get(field);
  if (value === null) return;
  const chosen = choose(wishesIn(value));
  if (chosen === undefined) headers.delete(field);
  else headers.set(field, chosen);
}

/** The members of `field`, the most wanted first. A weight that makes no sense counts as none. */
function wishesIn(field: string): Wish[] {
  const wishes = field.split(',').map((member) => {
    const [name = '', ...parameters] = member.split(';').map((part) => part.trim().toLowerCase());
    const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? '1';
    return { name, weight: /^[01](?:\.\d{0,3})?$/.test(weight) ? Number(weight) : 1 };
  });
  return wishes.filter(({ name }) => name !== '').toSorted((one, other) => other.weight - one.weight);
}

function languageFor(wishes: readonly Wish[], languages: readonly string[]): string | undefined {
  for (const { name, weight } of wishes) {
    if (weight === 0) return undefined;
    if (name === '*') return languages[0];
    // From the most special to the most general: de-CH-1996, de-CH, de; then any kind of what was asked for.
    for (let range = name; range !== ''; range = range.slice(0, Math.max(0, range.lastIndexOf('-')))) {
      const found = languages.find((language) => language.toLowerCase() === range);
      if (found !== undefined) return found;
    }
    const special = languages.find((language) => language.toLowerCase().startsWith(`${name}-`));
    if (special !== undefined) return special;
  }
  return undefined;
}

function encodingFor(wishes: readonly Wish[], encodings: readonly string[]): string | undefined {
  const weightOf = (encoding: string): number =>
    (wishes.find(({ name }) => name === encoding.toLowerCase()) ?? wishes.find(({ name }) => name === '*'))?.weight ??
    0;
  return encodings.find((encoding) => weightOf(encoding) > 0);
}
