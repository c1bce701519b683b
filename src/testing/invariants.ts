import { checkCount, checkMethods, checkNames, checkObject } from '../base/checks.js';
import { pause } from '../base/clock.js';
import { parseDuration } from '../base/duration.js';
import type { Duration } from '../contracts.js';
import type { CacheStats } from '../read/stats.js';
import type { RejectionWatch } from './rejections.js';
import type { ScriptedCall } from './scripted-upstream.js';

/** The part of a cache that is checked. A `TieredCache` of any value type has it. */
export interface CheckedCache {
  getStats(): Pick<CacheStats, 'inFlight' | 'size' | 'flights'>;
  idle(): Promise<void>;
}

/** Options of {@link checkInvariants}. */
export interface InvariantOptions {
  /** The most entries that memory may hold: its `max`. An integer ≥ 1 or `Infinity`. @default Infinity */
  readonly maxSize?: number;
  /** The scripted upstream of the cache, to name flights that are left by the keys of its open calls. */
  readonly upstream?: { readonly calls: readonly Pick<ScriptedCall<never>, 'key' | 'settled'>[] };
  /** The result of `watchRejections()`: every rejection it saw is a problem as well. */
  readonly rejections?: RejectionWatch;
  /** How long flights and deferred work get to finish, in real time whatever the cache's clock. ≥ 0. @default '1s' */
  readonly within?: Duration;
}

const OPTIONS: readonly (keyof InvariantOptions)[] = ['maxSize', 'upstream', 'rejections', 'within'];

/** Interval of the looks at whether work has finished, in milliseconds. */
const STEP = 5;

/** A test left a cache out of order. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
  /** Everything that is wrong. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The cache was not left in order: ${problems.join('; ')}`);
    this.problems = problems;
  }
}

/**
 * Resolves if a test has left `cache` in order, and rejects with everything that is wrong.
 *
 * In order means that no flight is left, deferred work has settled, memory is within `maxSize`, and no rejection went
 * unhandled. Knows nothing of the test runner: await it at the end of a test, or in `afterEach`. Work under way gets
 * `within` to finish; a cache at rest causes no wait. No clock is moved: a load that waits for a manual one counts as
 * left over.
 *
 * @example
 * ```ts
 * import { TieredCache } from 'soloflight';
 * import { checkInvariants, scriptedUpstream } from 'soloflight/testing';
 *
 * const upstream = scriptedUpstream<string>();
 * const cache = new TieredCache<string>({ ttl: '10s', upstream });
 * void cache.get('a');
 * await checkInvariants(cache, { upstream, within: 0 }).catch((error: Error) => console.log(error.name)); // InvariantError
 * ```
 *
 * @throws InvariantError naming everything that is wrong.
 * @throws TypeError for an option that makes no sense.
 */
export async function checkInvariants(cache: CheckedCache, options: InvariantOptions = {}): Promise<void> {
  checkMethods('cache', 'a cache', cache, ['getStats', 'idle']);
  checkObject('options', options);
  checkNames(options, OPTIONS);
  const { maxSize = Infinity, upstream, rejections, within = '1s' } = options;
  checkCount('maxSize', maxSize);
  if (rejections !== undefined) checkMethods('rejections', 'the result of watchRejections', rejections, ['take']);
  const patience = parseDuration('within', within);

  const problems: string[] = [];
  if (!(await finishes(cache.idle(), patience))) problems.push(unfinished(cache, patience, upstream));
  const { size } = cache.getStats();
  if (size > maxSize) problems.push(`memory holds ${count(size, 'entry', 'entries')}, and may hold ${maxSize}`);
  for (const reason of (await rejections?.take()) ?? []) problems.push(`nobody handled the rejection ${show(reason)}`);
  if (problems.length > 0) throw new InvariantError(problems);
}

/** Whether `work` settles within `ms`. Turns of the event loop pass in any case. */
async function finishes(work: Promise<void>, ms: number): Promise<boolean> {
  const done = work.then(() => true);
  for (let passed = 0; passed <= ms; passed += STEP) {
    if (await Promise.race([done, pause(Math.min(STEP, ms)).then(() => false)])) return true;
  }
  return false;
}

function unfinished(cache: CheckedCache, within: number, upstream: InvariantOptions['upstream']): string {
  const { inFlight, flights } = cache.getStats();
  if (inFlight === 0) return `deferred work, such as a write-back, did not settle within ${within} ms`;
  const waiting = flights.totalSubscribers === 0 ? 'nobody waits' : `${flights.totalSubscribers} wait`;
  const age = flights.oldestCallAge === null ? '' : `, the oldest ${Math.round(flights.oldestCallAge)} ms old`;
  const keys = new Set(upstream?.calls.filter(({ settled }) => !settled).map(({ key }) => `'${key}'`));
  const open = keys.size === 0 ? '' : `; upstream calls not settled: ${[...keys].join(', ')}`;
  return `${count(inFlight, 'flight is', 'flights are')} left${age}, ${waiting}${open}`;
}

function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`;
}

function show(reason: unknown): string {
  try {
    return String(reason);
  } catch {
    return typeof reason;
  }
}
