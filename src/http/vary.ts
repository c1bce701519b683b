import { CREDENTIALS } from './credentials.js';
import { isFieldName, type StoredAnswer } from './stored-response.js';

/** The field names in `Vary`: lower case, sorted, each once. `'*'` alone if it is among them, or a name that no request can have. */
export function varyNames(headers: Headers): readonly string[] {
  const names = (headers.get('vary') ?? '')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  return names.some((name) => name === '*' || !isFieldName(name)) ? ['*'] : [...new Set(names)].toSorted();
}

/** The fields that a response is chosen by. In a private cache these are also the credentials, whatever the origin says. */
export function variedBy(headers: Headers, shared: boolean): readonly string[] {
  const names = varyNames(headers);
  return shared ? names : [...new Set([...names, ...CREDENTIALS])].toSorted();
}

/** The request's values of the fields that a response varies by. */
export function selecting(names: readonly string[], request: Headers): StoredAnswer['vary'] {
  return names.map((name) => [name, normalized(request.get(name))]);
}

/** Whether the origin would select `answer` for this request as well (RFC 9111 §4.1). */
export function matches(answer: StoredAnswer, request: Headers): boolean {
  return answer.vary.every(([name, value]) => normalized(request.get(name)) === value);
}

/**
 * The key of this request's variant, where `answer` under `key` is another one.
 *
 * The key contains the generation of `answer`: once that is gone, so are all its variants.
 */
export function variantKey(key: string, answer: StoredAnswer, request: Headers): string {
  const values = answer.vary.map(([name]) => [name, normalized(request.get(name))]);
  return `${key}\n${answer.generation} ${JSON.stringify(values)}`;
}

/** White space around list members means nothing (§4.1). Order and case may. A pattern for it would take quadratic time. */
function normalized(value: string | null): string | null {
  if (value === null || !value.includes(',')) return value === null ? null : value.trim();
  return value
    .split(',')
    .map((member) => member.trim())
    .join(', ');
}
