import { checkNames, checkObject } from '../base/checks.js';
import { parseDuration } from '../base/duration.js';
import type { Duration } from '../contracts.js';
import { deltaSeconds } from './cache-control.js';
import { parseHttpDate } from './http-date.js';

/** Options of {@link errorLifetime}. */
export interface ErrorLifetimeOptions {
  /** How long an error is kept that states no `Retry-After`. @default 0, which leaves it to the response */
  readonly ttl?: Duration;
  /** The longest that `Retry-After` may ask for. @default '1m' */
  readonly max?: Duration;
}

/**
 * A `lifetime` for an HTTP cache that leaves a failing origin alone: a 5xx or 429 is fresh for as long as its `Retry-After`
 * says, at most `max`, else for `ttl`. A stored answer that may stand in for it does. All other responses decide themselves.
 *
 * @throws TypeError for an option that makes no sense.
 * @see RFC 9110 §10.2.3
 */
export function errorLifetime(
  options: ErrorLifetimeOptions = {},
): (request: Request, response: Response) => Duration | undefined {
  checkObject('options', options);
  checkNames(options, ['ttl', 'max']);
  const ttl = parseDuration('ttl', options.ttl ?? 0);
  const max = parseDuration('max', options.max ?? '1m');
  return (_request, { status, headers }) => {
    if (status < 500 && status !== 429) return undefined;
    const asked = retryAfter(headers);
    if (asked !== undefined) return Math.min(asked, max);
    return ttl === 0 ? undefined : ttl;
  };
}

/** What `Retry-After` says, in milliseconds; a date counts from that of the response, without which it means nothing. */
function retryAfter(headers: Headers): number | undefined {
  const field = headers.get('retry-after')?.trim() ?? null;
  const seconds = deltaSeconds(field ?? undefined);
  if (!Number.isNaN(seconds)) return seconds * 1_000;
  const date = parseHttpDate(headers.get('date'), 0);
  const until = parseHttpDate(field, date ?? 0);
  return until === undefined || date === undefined ? undefined : Math.max(0, until - date);
}
