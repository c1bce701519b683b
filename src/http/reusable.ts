import type { Ask, Wants } from './ask.js';
import { ageOf, type StoredAnswer } from './stored-response.js';

/** Whether a stored response may answer a request, and if not, why. */
export interface Verdict {
  readonly use: 'fresh' | 'stale-while-revalidate' | 'max-stale' | undefined;
  /** Why not: nobody may use it without validation, or this request refuses it. */
  readonly why?: 'stale' | 'request';
}

const FRESH: Verdict = Object.freeze({ use: 'fresh' });
const BY_WINDOW: Verdict = Object.freeze({ use: 'stale-while-revalidate' });
const BY_CLIENT: Verdict = Object.freeze({ use: 'max-stale' });
const STALE: Verdict = Object.freeze({ use: undefined, why: 'stale' });
const REFUSED: Verdict = Object.freeze({ use: undefined, why: 'request' });

/**
 * Decides on the reuse of `answer` without validation at `now`. Presumes that its key and its `vary` match.
 *
 * @see RFC 9111 §4 and §4.2.4, RFC 5861 §3, RFC 8246 §2
 */
export function judge(answer: StoredAnswer, wants: Wants, now: number): Verdict {
  const { rules } = answer;
  const age = ageOf(answer, now);
  const isFresh = age < rules.lifetime && !rules.validate;
  if (wants.noCache || wants.reload) return REFUSED;
  // A response that never changes while fresh needs no validation just because somebody reloaded a page.
  if (wants.maxAge !== undefined && age > wants.maxAge * 1_000 && !(isFresh && rules.immutable)) return REFUSED;
  if (rules.validate) return STALE;
  const isLongEnough = wants.minFresh === undefined || rules.lifetime - age >= wants.minFresh * 1_000;
  if (isFresh) return isLongEnough ? FRESH : REFUSED;
  if (rules.stale === 'never' || !isLongEnough) return STALE;

  const staleness = age - rules.lifetime;
  if (staleness < rules.staleWhileRevalidate) return BY_WINDOW;
  if (rules.stale === 'allowed' && wants.maxStale !== undefined && staleness <= wants.maxStale * 1_000)
    return BY_CLIENT;
  return STALE;
}

/** Whether `answer` may stand in for an answer that the origin failed to give (RFC 5861 §4, RFC 9111 §4.2.4). */
export function maySurviveError(answer: StoredAnswer, { wants }: Pick<Ask, 'wants'>, now: number): boolean {
  const { rules } = answer;
  if (rules.validate || rules.stale === 'never' || wants.noCache || wants.reload) return false;
  const asked = rules.stale === 'allowed' ? wants.staleIfError * 1_000 : 0;
  return ageOf(answer, now) - rules.lifetime < Math.max(rules.staleIfError, asked);
}
