import type { Clock } from '../contracts.js';
import type { Entry } from '../entry.js';

/** When a fresh entry is reloaded ahead: past a fraction of its ttl, or by XFetch with `beta`. */
export type RefreshAhead = number | { readonly beta: number };

/**
 * Whether `entry`, fresh until `until` and not there yet, is to be reloaded already.
 *
 * XFetch draws: the costlier the load and the nearer the end, the likelier; so that of many processes one goes early and
 * the others find its result.
 *
 * @see Vattani, Chierichetti, Lowenstein: Optimal Probabilistic Cache Stampede Prevention, VLDB 2015.
 */
export function isDueAhead(entry: Entry, until: number, ahead: RefreshAhead, clock: Clock): boolean {
  const now = clock.now();
  if (typeof ahead === 'object') return now - entry.loadMs * ahead.beta * Math.log(clock.random()) >= until;
  return now >= entry.createdAt + (until - entry.createdAt) * ahead;
}
