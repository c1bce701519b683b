import { checkFunction } from '../base/checks.js';
import { warnOf } from '../base/unheard.js';
import type { HttpCacheStatus } from './cache-status.js';
import type { Feature, HttpFeature, HttpSettings, Told } from './settings.js';

/**
 * How a request was answered: `hit` (fresh), `stale` (while it is renewed, or since the client takes it), `revalidated` (the origin
 * confirmed what is stored), `shared` (by another caller's request), `miss`, `fallback` (stale, since the origin fails), `bypass` (not the
 * cache's business), or `refused` (nothing stored, and the origin was not to be asked).
 */
export type HttpOutcome = 'hit' | 'stale' | 'revalidated' | 'shared' | 'miss' | 'fallback' | 'bypass' | 'refused';

/** Something that happened in an HTTP cache. */
export type HttpEvent = { readonly method: string; readonly url: string; readonly key: string | undefined } & (
  | {
      /** A request has its answer, or its first part. Told once for each, and for each redirect on its way. */
      readonly type: 'answered';
      readonly outcome: HttpOutcome;
      /** The status of the origin, where it was asked. */
      readonly forwardStatus: number | undefined;
    }
  /** A response was handed to the tiers, or a stored one was confirmed: by a request, or in the background. */
  | { readonly type: 'stored' | 'revalidated'; readonly background: boolean }
  /** A response was not stored. `why` is the `detail` of `Cache-Status`, such as `private`, `no-store`, or `too-large`. */
  | { readonly type: 'not-stored'; readonly why: string; readonly background: boolean }
);

/** Counts of requests and responses since the beginning. */
export interface HttpStats {
  readonly requests: number;
  readonly answered: Readonly<Record<HttpOutcome, number>>;
  readonly stored: number;
  readonly revalidated: number;
  readonly notStored: Readonly<Record<string, number>>;
}

/** What {@link httpEvents} gives. Belongs to one cache. */
export interface HttpEvents extends HttpFeature {
  /** Unlike the statistics of the cache behind, these count requests, whatever each of them takes. */
  getStats(): HttpStats;
}

/**
 * Tells `listener` what an HTTP cache does with requests, and counts it. For the option `use`.
 *
 * A listener that throws costs no request anything; the first time is a warning of the process. Events carry URLs and
 * keys, which may be private.
 *
 * @throws TypeError unless `listener` is a function, if it is given.
 */
export function httpEvents(listener?: (event: HttpEvent) => void): HttpEvents {
  checkFunction('listener', listener);
  const answered = { hit: 0, stale: 0, revalidated: 0, shared: 0, miss: 0, fallback: 0, bypass: 0, refused: 0 };
  const counts = { requests: 0, stored: 0, revalidated: 0 };
  const notStored: Record<string, number> = {};
  const confirmed = new WeakSet<Told>();
  let isWarned = false;

  const tell = (event: HttpEvent): void => {
    try {
      listener?.(event);
    } catch (error) {
      if (!isWarned) warnOf({ type: 'error', source: 'listener', error });
      isWarned = true;
    }
  };
  const hear: HttpSettings['hear'] = (about, status, loaded) => {
    const common = commonOf(about);
    if (status !== undefined) {
      if (isConfirmation(status)) confirmed.add(about);
      if (about.background === true) return;
      const outcome = outcomeOf(status);
      counts.requests += 1;
      answered[outcome] += 1;
      return tell({ ...common, type: 'answered', outcome, forwardStatus: status.forwardStatus });
    }
    const background = about.background === true;
    if (loaded?.kind === 'detour') {
      notStored[loaded.why] = (notStored[loaded.why] ?? 0) + 1;
      return tell({ ...common, type: 'not-stored', why: loaded.why, background });
    }
    const type = confirmed.has(about) ? 'revalidated' : 'stored';
    counts[type] += 1;
    tell({ ...common, type, background });
  };
  const feature: Feature & HttpEvents = {
    name: 'httpEvents',
    install: () => ({ hear }),
    getStats: () => ({ ...counts, answered: { ...answered }, notStored: { ...notStored } }),
  };
  return feature;
}

function commonOf({ ask, key }: Told): {
  readonly method: string;
  readonly url: string;
  readonly key: string | undefined;
} {
  return { method: ask.method, url: ask.url, key };
}

/** A 304 to a question of the cache, not to the caller's own. */
function isConfirmation({ forwardStatus, detail }: HttpCacheStatus): boolean {
  return forwardStatus === 304 && detail === undefined;
}

function outcomeOf(status: HttpCacheStatus): HttpOutcome {
  const { forwarded, collapsed, detail } = status;
  if (forwarded === undefined) return detail === undefined ? 'hit' : 'stale';
  if (forwarded === 'no') return 'refused';
  if (detail === 'stale-if-error') return 'fallback';
  if (collapsed === true) return 'shared';
  if (forwarded === 'bypass' || forwarded === 'method') return 'bypass';
  return isConfirmation(status) ? 'revalidated' : 'miss';
}
