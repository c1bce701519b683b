import { checkClock, checkCount, checkFunction, checkMethods, checkNames, checkObject } from '../base/checks.js';
import { systemClock } from '../base/clock.js';
import { parseDuration } from '../base/duration.js';
import type { Clock, Duration } from '../contracts.js';
import { misuse } from '../errors.js';
import type { AsyncContext, FlightEvent, FlightMapOptions } from './flight-map.js';

/** Options of `Singleflight`. */
export interface SingleflightOptions<K = string> {
  /** Callers a flight takes; one more rejects with `TooManySubscribersError`. At least 1. @default Infinity */
  readonly maxSubscribers?: number;
  /** Age at which a flight is ended and its subscribers reject with `FlightTimeoutError`. `Infinity` turns it off. @default '30s' */
  readonly maxDuration?: Duration;
  /** Flights under way at once; leading one more rejects with `TooManyFlightsError`. At least 1. @default Infinity */
  readonly maxFlights?: number;
  /** `false`, or a function that returns it, turns coalescing off: every call runs its own work. @default true */
  readonly coalesce?: boolean | (() => boolean);
  /** Time and timers, replaced in tests. @default systemClock */
  readonly clock?: Clock;
  /** Told of everything that happens to flights. What it throws is ignored. */
  readonly onEvent?: (event: FlightEvent<K>) => void;
  /** An `AsyncLocalStorage`, to detect work that waits for its own key across `await`s. */
  readonly asyncContext?: AsyncContext;
}

/** Age at which flights are ended unless an option says otherwise, milliseconds. */
const DEFAULT_MAX_DURATION = 30_000;

const NAMES = ['maxSubscribers', 'maxDuration', 'maxFlights', 'coalesce', 'clock', 'onEvent', 'asyncContext'];

/** Checks that `options` are those of a `Singleflight`, and fills in the defaults. */
export function resolveSingleflightOptions<K>(options: SingleflightOptions<K>): FlightMapOptions<K> {
  checkObject('options', options);
  checkNames(options, NAMES);
  return resolveFlightOptions(options);
}

/** Checks those of `options` that flights have, and fills in the defaults. Leaves others alone. */
export function resolveFlightOptions<K>(options: SingleflightOptions<K>): FlightMapOptions<K> {
  const {
    maxSubscribers = Infinity,
    maxDuration = DEFAULT_MAX_DURATION,
    maxFlights = Infinity,
    coalesce = true,
  } = options;
  const { clock = systemClock, onEvent, asyncContext } = options;
  checkCount('maxSubscribers', maxSubscribers);
  checkCount('maxFlights', maxFlights);
  if (typeof coalesce !== 'boolean' && typeof coalesce !== 'function')
    throw misuse('coalesce', 'a boolean or a function', coalesce);
  checkFunction('onEvent', onEvent);
  checkClock(clock);
  if (asyncContext !== undefined)
    checkMethods('asyncContext', 'an AsyncLocalStorage', asyncContext, ['run', 'getStore']);
  const longest = parseDuration('maxDuration', maxDuration, { zero: false, infinite: true });
  return { maxSubscribers, maxFlights, maxDuration: longest, coalesce, clock, onEvent, asyncContext };
}
