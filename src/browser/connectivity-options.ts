import { checkClock, checkFunction, checkNames, checkObject } from '../base/checks.js';
import { systemClock } from '../base/clock.js';
import { parseDuration } from '../base/duration.js';
import type { Clock, Duration, MaybePromise } from '../contracts.js';
import { misuse } from '../errors.js';

/** Options of `connectivity`. */
export interface ConnectivityOptions {
  /**
   * Finds out whether the server can be reached. A URL gets a `HEAD` request past all HTTP caches: every answer below 500
   * counts. A function reports failure by returning `false` or by rejecting; any other result counts. A service worker should
   * not answer it. Left out: nothing is probed, and requests find out.
   */
  readonly probe?: string | URL | ((context: ProbeContext) => MaybePromise<unknown>);
  /**
   * Tells this server from others that the origin's tabs watch. Tabs that give the same name probe for each other.
   *
   * @default the URL in `probe`; with a function, each tab probes for itself
   */
  readonly name?: string;
  /** How long one probe may take. @default '5s' */
  readonly probeTimeout?: Duration;
  /** The pause after a first failure, doubled by each further one, and the longest pause. Half of each is random. @default { initial: '1s', max: '1m' } */
  readonly backoff?: { readonly initial?: Duration; readonly max?: Duration };
  /** Whether a failed request says something about the network. @default a `TypeError`, as `fetch` throws, or a `TimeoutError` */
  readonly isFailure?: (error: unknown) => boolean;
  /** @default systemClock */
  readonly clock?: Clock;
}

/** The argument of a probe. */
export interface ProbeContext {
  /** Aborts when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** Resolves with `false`, or rejects, if the server was not reached; any other result means that it was. */
export type Probe = (context: ProbeContext) => MaybePromise<unknown>;

/** {@link ConnectivityOptions} with the defaults filled in. Durations are milliseconds. */
export interface ConnectivitySettings {
  readonly probe: Probe | undefined;
  readonly name: string | undefined;
  readonly probeTimeout: number;
  readonly initial: number;
  readonly max: number;
  readonly isFailure: (error: unknown) => boolean;
  readonly clock: Clock;
}

/** @throws TypeError for an option that makes no sense. */
export function resolveConnectivity(options: ConnectivityOptions): ConnectivitySettings {
  checkObject('options', options);
  checkNames(options, ['probe', 'name', 'probeTimeout', 'backoff', 'isFailure', 'clock']);
  const { backoff = {}, isFailure = isNetworkFailure, clock = systemClock } = options;
  checkObject('backoff', backoff);
  checkNames(backoff, ['initial', 'max']);
  checkFunction('isFailure', isFailure);
  checkClock(clock);
  const initial = parseDuration('backoff.initial', backoff.initial ?? '1s', { zero: false });
  const max = parseDuration('backoff.max', backoff.max ?? Math.max(60_000, initial), { zero: false });
  if (max < initial) throw misuse('backoff.max', 'at least `backoff.initial`', backoff.max);
  const probeTimeout = parseDuration('probeTimeout', options.probeTimeout ?? '5s', { zero: false });
  const { probe, name = typeof probe === 'function' || probe === undefined ? undefined : String(probe) } = options;
  if (name !== undefined && (typeof name !== 'string' || name === ''))
    throw misuse('name', 'a name of at least one character', name);
  return { probe: toProbe(probe), name, probeTimeout, initial, max, isFailure, clock };
}

function toProbe(probe: unknown): Probe | undefined {
  if (probe === undefined) return undefined;
  if (typeof probe === 'function') return probe as Probe;
  if (typeof probe !== 'string' && !(probe instanceof URL)) throw misuse('probe', 'a URL or a function', probe);
  return async ({ signal }) => {
    const request = { method: 'HEAD', cache: 'no-store', signal } as const;
    return (await fetch(probe, request)).status < 500;
  };
}

/** `fetch` fails with these where there is no answer. An abort on purpose is no failure of the network. */
function isNetworkFailure(error: unknown): boolean {
  const name = (error as { readonly name?: unknown } | undefined)?.name;
  return name === 'TypeError' || name === 'TimeoutError';
}
