import { isSoloflightError } from '../errors.js';
import type { Ask } from './ask.js';
import { brokenBody } from './body.js';
import type { HttpCacheStatus } from './cache-status.js';
import { Exchange, type Errand } from './exchange.js';
import { LoadFailure } from './load-failure.js';
import { notCached, respond, withBody } from './respond.js';
import { judge, maySurviveError, type Verdict } from './reusable.js';
import type { HttpSettings, Origin } from './settings.js';
import { solo } from './solo.js';
import { ageOf, asAnswer, type StoredAnswer } from './stored-response.js';
import { told } from './told.js';
import { matches, variantKey } from './vary.js';

/** A variant may vary by more headers than its parent. No request needs more steps than this. */
const DEEPEST_VARIANT = 8;

/** One request on its way through the cache. */
interface Passage {
  readonly ask: Ask;
  readonly origin: Origin;
  readonly key: string;
  readonly startedAt: number;
  /** The answer stored for this very request, usable or not. */
  readonly stored: StoredAnswer | undefined;
  readonly forwarded: Errand['forwarded'];
  /** Whether the key holds something unusable that would go on answering. */
  readonly isJunk: boolean;
  readonly updatesOnly: boolean;
}

/** THE FLOW: key → stored variant → reuse, or one exchange for all callers that may share it, or a request for one alone. */
export async function passThrough(settings: HttpSettings, ask: Ask, origin: Origin, key: string): Promise<Response> {
  const startedAt = settings.clock.now();
  const passage = await find(settings, { ask, origin, key, startedAt, forwarded: 'uri-miss' });
  const { stored } = passage;
  const verdict = stored === undefined ? undefined : judge(stored, ask.wants, settings.clock.now());
  const isLate = verdict?.use === 'stale-while-revalidate' && !settings.canRevalidate;
  if (stored !== undefined && verdict?.use !== undefined && !isLate) {
    if (verdict.use === 'stale-while-revalidate') revalidate(settings, { ...passage, forwarded: 'stale' });
    return serve(settings, passage, stored, verdict.use === 'fresh' ? {} : { detail: verdict.use });
  }
  if (ask.wants.onlyIfCached || settings.onlyIfCached) return notCached(settings, passage);
  // To get all of it for a part could take much longer.
  if (ask.part !== undefined && stored === undefined)
    return solo(errandOf(settings, { ...passage, ask: ask.part.asked }), undefined);
  return forward(settings, passage, verdict);
}

/** Follows the variants from `passage.key` to the one for this request, or to the key where it would be. */
async function find(
  settings: HttpSettings,
  start: Omit<Passage, 'stored' | 'isJunk' | 'updatesOnly'>,
): Promise<Passage> {
  const { ask } = start;
  let { key, forwarded } = start;
  for (let depth = 0; depth < DEEPEST_VARIANT; depth += 1) {
    const read = ask.signal === undefined ? undefined : { signal: ask.signal };
    const found = await settings.read(key, read);
    const answer = asAnswer(found, settings.shared);
    // Only a `key` function can lead a GET to the answer of a HEAD.
    const stored = answer?.method === 'HEAD' && ask.method === 'GET' ? undefined : answer;
    const isJunk = found !== undefined && stored === undefined;
    if (stored === undefined || matches(stored, ask.selectors)) {
      // A HEAD may be answered by a stored GET. Its own answer is stored under another key.
      const isForeign = ask.method === 'HEAD' && stored === undefined && !key.endsWith(HEAD_KEY);
      if (!isForeign) return { ...start, key, forwarded, stored, isJunk, updatesOnly: updatesOnly(ask, stored) };
      key += HEAD_KEY;
      continue;
    }
    key = variantKey(key, stored, ask.selectors);
    const surplus = settings.variants.use(start.key, key);
    if (surplus !== undefined) settings.cache.invalidate(surplus).catch(() => {});
    forwarded = 'vary-miss';
  }
  return { ...start, key, forwarded, stored: undefined, isJunk: false, updatesOnly: false };
}

/** Ends the key of an answer that a `HEAD` brought. */
export const HEAD_KEY = '\nHEAD';

function updatesOnly({ method }: Ask, stored: StoredAnswer | undefined): boolean {
  return method === 'HEAD' && stored?.method === 'GET';
}

/** Goes to the origin: together with other callers where that is allowed, else alone. */
async function forward(settings: HttpSettings, passage: Passage, verdict: Verdict | undefined): Promise<Response> {
  const { ask } = passage;
  const errand = errandOf(settings, { ...passage, forwarded: reasonOf(passage, verdict) });
  const { detours } = settings;
  // Waiting would be in vain: another caller's answer would not do for this one.
  const isAlone = verdict?.why === 'request' || insists(ask) || detours.why(errand.mark) !== undefined;
  if (ask.wants.noStore || (isAlone && detours.isLed(passage.key))) return solo(errand, passage.stored);

  const exchange = new Exchange(errand);
  const loading = settings.cache.getOrLoad(passage.key, (_key, load) => exchange.run(load), {
    maxStale: 0,
    softTimeout: Infinity,
    ...(verdict?.why === 'request' || passage.isJunk ? { reload: true } : {}),
    ...(ask.signal === undefined ? {} : { signal: ask.signal }),
    ...(settings.waitUntil === undefined ? {} : { waitUntil: settings.waitUntil }),
  });
  const release = (): void => exchange.release();
  loading.then(release, release);
  try {
    const outcome = await Promise.race([exchange.response, loading]);
    if ('response' in outcome) return outcome.response;
    const own = await exchange.outlast();
    if (own !== undefined) return own.response;
    const shared = asAnswer(outcome, settings.shared);
    return shared === undefined ? await solo(errand, passage.stored) : await share(settings, errand, passage, shared);
  } catch (error) {
    if (insists(ask) && !exchange.leads && ask.signal?.aborted !== true) return solo(errand, passage.stored);
    const isSlow = isSoloflightError(error, 'SOLOFLIGHT_FLIGHT_TIMEOUT');
    return isSlow ? afterTimeout(errand, passage, exchange) : afterFailure(settings, errand, passage, error);
  }
}

/** Whether only an answer that was made after this request will do, and so no outcome of an older one. */
function insists({ wants }: Ask): boolean {
  return wants.noCache || wants.reload || wants.maxAge === 0;
}

/** Waits on for the caller's own request, or makes one: others were waited for long enough. */
async function afterTimeout(errand: Errand, passage: Passage, exchange: Exchange): Promise<Response> {
  try {
    const own = await exchange.outlast();
    return own === undefined ? await solo(errand, passage.stored) : own.response;
  } catch (error) {
    return afterFailure(errand.settings, errand, passage, error);
  }
}

/** Serves the answer of another caller's exchange if it will do for this request, too. Otherwise this one goes alone. */
async function share(
  settings: HttpSettings,
  errand: Errand,
  passage: Passage,
  shared: StoredAnswer,
): Promise<Response> {
  const { ask } = passage;
  if (!matches(shared, ask.selectors) && !isDeep(passage.key)) {
    return passThrough(settings, ask, passage.origin, variantKey(passage.key, shared, ask.selectors));
  }
  const { use } = judge(shared, ask.wants, settings.clock.now());
  const fits =
    use !== undefined && matches(shared, ask.selectors) && (shared.method === 'GET' || ask.method === 'HEAD');
  if (!fits) return solo(errand, matches(shared, ask.selectors) ? shared : undefined);
  return serve(settings, passage, shared, { forwarded: errand.forwarded, stored: true, collapsed: true });
}

async function afterFailure(
  settings: HttpSettings,
  errand: Errand,
  passage: Passage,
  error: unknown,
): Promise<Response> {
  const { ask, startedAt } = passage;
  if (ask.signal?.aborted === true) throw ask.signal.reason;
  if (!(error instanceof LoadFailure)) throw error;
  const now = settings.clock.now();
  const stored = passage.stored ?? error.known;
  const isTheOrigins = error.kind === 'network' || error.kind === 'status';
  if (isTheOrigins && stored !== undefined && matches(stored, ask.selectors) && maySurviveError(stored, ask, now))
    return serve(settings, passage, stored, { forwarded: 'stale', detail: 'stale-if-error' });
  // A failure that is remembered from an earlier request says nothing about this one, unless failures are to be cached.
  if (error.kind === 'network' && (stored === undefined || error.at >= startedAt)) throw error.cause;
  const { partial } = error;
  const isOurs =
    partial !== undefined && matches(partial, ask.selectors) && judge(partial, ask.wants, now).use !== undefined;
  if (error.kind !== 'broken' || !isOurs) return solo(errand, stored);
  const whole = { ...passage, ask: { ...ask, part: undefined } };
  const response = serve(settings, whole, partial, { forwarded: errand.forwarded, collapsed: true });
  return ask.method === 'HEAD' ? response : withBody(response, undefined, brokenBody(partial.body, error.cause));
}

/** Asks the origin in the background, once per key and not while it fails. */
function revalidate(settings: HttpSettings, passage: Passage): void {
  const exchange = new Exchange({ ...errandOf(settings, passage), background: true });
  const { waitUntil } = settings;
  const revalidating = settings.cache.getOrLoad(
    passage.key,
    (_key, load) => exchange.run(load),
    waitUntil === undefined ? {} : { waitUntil },
  );
  revalidating.catch(() => {});
}

function errandOf(settings: HttpSettings, passage: Passage): Errand {
  const { ask, origin, key, forwarded, updatesOnly } = passage;
  const mark = `${ask.credentialed ? '+' : '-'}${key}`;
  return { settings, ask, origin, key, mark, forwarded, updatesOnly, background: false };
}

function reasonOf(passage: Passage, verdict: Verdict | undefined): Errand['forwarded'] {
  if (verdict === undefined) return passage.forwarded;
  return verdict.why === 'request' ? 'request' : 'stale';
}

function serve(settings: HttpSettings, passage: Passage, answer: StoredAnswer, status: HttpCacheStatus): Response {
  const now = settings.clock.now();
  const freshFor = answer.rules.lifetime - ageOf(answer, now);
  return respond(answer, passage.ask, told(settings, passage, { freshFor, ...status }), now);
}

/** Whether `key` belongs to a variant so deep that something must be wrong. */
function isDeep(key: string): boolean {
  return key.split('\n').length > DEEPEST_VARIANT;
}
