/** Shared by all copies of the package, so that an error from one copy is known to another. */
const BRAND: unique symbol = Symbol.for('soloflight.error');

/** The base of every failure that soloflight itself reports. Codes are stable, messages are not. */
export class SoloflightError extends Error {
  readonly code: `SOLOFLIGHT_${string}`;
  /** The key concerned, where there is one and it is a string. */
  declare readonly key?: string;

  constructor(
    code: `SOLOFLIGHT_${string}`,
    message: string,
    options: { readonly key?: unknown; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target === SoloflightError ? 'SoloflightError' : nameOf(code);
    this.code = code;
    if (typeof options.key === 'string') this.key = options.key;
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** The name of the class with `code`. A minifier renames classes, and names are what people and logs go by. */
function nameOf(code: string): string {
  const words = code.slice('SOLOFLIGHT_'.length).toLowerCase().split('_');
  return `${words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')}Error`;
}

/** The codes of all failures that soloflight reports, whichever entry they come from. */
export type SoloflightErrorCode =
  | 'SOLOFLIGHT_ALARM_TIMEOUT'
  | 'SOLOFLIGHT_BATCHER_CLOSED'
  | 'SOLOFLIGHT_CACHE_CLOSED'
  | 'SOLOFLIGHT_CALLER_TIMEOUT'
  | 'SOLOFLIGHT_CONNECTIVITY_CLOSED'
  | 'SOLOFLIGHT_CONTENDED'
  | 'SOLOFLIGHT_DATABASE_BLOCKED'
  | 'SOLOFLIGHT_DATABASE_CLOSED'
  | 'SOLOFLIGHT_DELIVERY_TIMEOUT'
  | 'SOLOFLIGHT_FLIGHT_TIMEOUT'
  | 'SOLOFLIGHT_FOREIGN_DATABASE'
  | 'SOLOFLIGHT_HTTP_STATUS'
  | 'SOLOFLIGHT_OBJECT_UNAVAILABLE'
  | 'SOLOFLIGHT_QUEUE_CLOSED'
  | 'SOLOFLIGHT_QUEUE_OWNED'
  | 'SOLOFLIGHT_REENTRANT_FLIGHT'
  | 'SOLOFLIGHT_SOFT_TIMEOUT'
  | 'SOLOFLIGHT_SOME_KEYS_FAILED'
  | 'SOLOFLIGHT_SQLITE_IN_TRANSACTION'
  | 'SOLOFLIGHT_SQLITE_UNAVAILABLE'
  | 'SOLOFLIGHT_STORAGE_CLOSED'
  | 'SOLOFLIGHT_STORAGE_FULL'
  | 'SOLOFLIGHT_STORAGE_UNAVAILABLE'
  | 'SOLOFLIGHT_TIER_TIMEOUT'
  | 'SOLOFLIGHT_TOO_MANY_FLIGHTS'
  | 'SOLOFLIGHT_TOO_MANY_SUBSCRIBERS'
  | 'SOLOFLIGHT_TOO_MANY_WRITES'
  | 'SOLOFLIGHT_UNDECODABLE'
  | 'SOLOFLIGHT_UNENCODABLE'
  | 'SOLOFLIGHT_UNKNOWN_DEAD_LETTER'
  | 'SOLOFLIGHT_UNSERIALIZABLE'
  | 'SOLOFLIGHT_VALUE_TOO_LARGE'
  | 'SOLOFLIGHT_WRITES_CLOSED'
  | 'SOLOFLIGHT_WRITES_UNDELIVERED'
  | 'SOLOFLIGHT_WRITE_CONFLICT'
  | 'SOLOFLIGHT_WRITE_QUEUE';

/** The errors that have a class of their own here, by code. */
interface ErrorsByCode {
  readonly SOLOFLIGHT_CACHE_CLOSED: CacheClosedError;
  readonly SOLOFLIGHT_CALLER_TIMEOUT: CallerTimeoutError;
  readonly SOLOFLIGHT_FLIGHT_TIMEOUT: FlightTimeoutError;
  readonly SOLOFLIGHT_REENTRANT_FLIGHT: ReentrantFlightError;
  readonly SOLOFLIGHT_SOME_KEYS_FAILED: SomeKeysFailedError;
  readonly SOLOFLIGHT_TIER_TIMEOUT: TierTimeoutError;
  readonly SOLOFLIGHT_TOO_MANY_FLIGHTS: TooManyFlightsError;
  readonly SOLOFLIGHT_TOO_MANY_SUBSCRIBERS: TooManySubscribersError;
  readonly SOLOFLIGHT_UNDECODABLE: UndecodableError;
  readonly SOLOFLIGHT_UNENCODABLE: UnencodableError;
}

/** The error that has `C` as its code. */
export type ErrorOfCode<C extends SoloflightErrorCode> = (C extends keyof ErrorsByCode
  ? ErrorsByCode[C]
  : SoloflightError) & { readonly code: C };

/** Tells whether `error` is a {@link SoloflightError}, also one from another copy of the package, and optionally of which code. */
export function isSoloflightError(error: unknown): error is SoloflightError;
export function isSoloflightError<C extends SoloflightErrorCode>(error: unknown, code: C): error is ErrorOfCode<C>;
export function isSoloflightError(error: unknown, code?: SoloflightErrorCode): error is SoloflightError {
  if (typeof error !== 'object' || error === null || !(BRAND in error)) return false;
  return code === undefined || (error as { readonly code?: unknown }).code === code;
}

/** A flight reached `maxDuration` (milliseconds): its subscribers are released and its work is told to stop. */
export class FlightTimeoutError extends SoloflightError {
  /** Age of the flight in milliseconds when it was ended. */
  readonly age: number;
  readonly maxDuration: number;

  constructor(key: unknown, age: number, maxDuration: number) {
    super(
      'SOLOFLIGHT_FLIGHT_TIMEOUT',
      `The flight for ${show(key)} was ended after ${Math.round(age)} ms. Raise \`maxDuration\` (${maxDuration} ms) if work may take longer, else stop it by its \`signal\``,
      { key },
    );
    this.age = age;
    this.maxDuration = maxDuration;
  }
}

/** A flight already has `maxSubscribers` subscribers. */
export class TooManySubscribersError extends SoloflightError {
  readonly maxSubscribers: number;

  constructor(key: unknown, maxSubscribers: number) {
    super(
      'SOLOFLIGHT_TOO_MANY_SUBSCRIBERS',
      `The flight for ${show(key)} already has ${maxSubscribers} subscribers (\`maxSubscribers\`). Shed this call or retry later`,
      { key },
    );
    this.maxSubscribers = maxSubscribers;
  }
}

/** `maxFlights` flights are already under way. */
export class TooManyFlightsError extends SoloflightError {
  readonly maxFlights: number;

  constructor(key: unknown, maxFlights: number) {
    super(
      'SOLOFLIGHT_TOO_MANY_FLIGHTS',
      `No flight for ${show(key)}: there already are ${maxFlights} (\`maxFlights\`). Shed this call or retry later`,
      { key },
    );
    this.maxFlights = maxFlights;
  }
}

/** Work executed its own key, or one that waits for it, and would wait for itself. */
export class ReentrantFlightError extends SoloflightError {
  constructor(key: unknown) {
    super(
      'SOLOFLIGHT_REENTRANT_FLIGHT',
      `The work for ${show(key)} would wait for itself. Use another key for the inner call, or call the function directly`,
      { key },
    );
  }
}

/** The cache was closed. */
export class CacheClosedError extends SoloflightError {
  constructor(key?: string) {
    super('SOLOFLIGHT_CACHE_CLOSED', 'The cache is closed. Create a new one, or close it later', { key });
  }
}

/** A caller's own `timeout` (milliseconds) ran out; the flight goes on. */
export class CallerTimeoutError extends SoloflightError {
  readonly timeout: number;

  constructor(key: string, timeout: number) {
    super(
      'SOLOFLIGHT_CALLER_TIMEOUT',
      `No answer for ${show(key)} within this caller's \`timeout\` (${timeout} ms). The load goes on`,
      { key },
    );
    this.timeout = timeout;
  }
}

/** Some of the keys of a batch read failed; the others did not, and are cached as always. */
export class SomeKeysFailedError extends SoloflightError {
  /** The failure of each key that failed, as its load gave it. */
  readonly failures: ReadonlyMap<string, unknown>;
  /** The failures alone, as an `AggregateError` has them. */
  readonly errors: readonly unknown[];

  constructor(failures: ReadonlyMap<string, unknown>) {
    const keys = [...failures.keys()].map(show);
    const named = keys.length > 5 ? `${keys.slice(0, 5).join(', ')} and ${keys.length - 5} more` : keys.join(', ');
    super(
      'SOLOFLIGHT_SOME_KEYS_FAILED',
      `No value for ${named}: see \`failures\`. \`lookupMany\` gives the others their values`,
      { cause: failures.values().next().value },
    );
    this.failures = failures;
    this.errors = [...failures.values()];
  }
}

/** A storage tier did not answer within its deadline (milliseconds). Seen in `tier-error` events only. */
export class TierTimeoutError extends SoloflightError {
  readonly tier: string;
  readonly deadline: number;

  constructor(tier: string, operation: string, deadline: number, key?: string) {
    super('SOLOFLIGHT_TIER_TIMEOUT', `Storage tier '${tier}' did not finish \`${operation}\` within ${deadline} ms`, {
      key,
    });
    this.tier = tier;
    this.deadline = deadline;
  }
}

/**
 * A stored payload could not be turned back into an entry.
 *
 * Adapters throw it from `get`; the read is then a miss and the tier still counts as healthy. The payload is left
 * alone, since another version of the program may own it.
 */
export class UndecodableError extends SoloflightError {
  constructor(key: string, why: string, cause?: unknown) {
    super('SOLOFLIGHT_UNDECODABLE', `The stored payload of ${show(key)} can't be decoded: ${why}`, { key, cause });
  }
}

/**
 * An entry could not be turned into what the storage keeps, for example a bigint into JSON. The `cause` is what the codec said.
 *
 * Adapters throw it from writes. The storage is healthy, and goes on holding what it held before.
 */
export class UnencodableError extends SoloflightError {
  constructor(key: string, why: string, cause?: unknown) {
    super(
      'SOLOFLIGHT_UNENCODABLE',
      `The value of ${show(key)} can't be stored: ${why}. Load plain data, or choose a codec that takes this value`,
      { key, cause },
    );
  }
}

/** Makes the `TypeError` for a misused option or argument: what was expected, and what was given. */
export function misuse(name: string, expectation: string, received: unknown): TypeError {
  return new TypeError(`Expected \`${name}\` to be ${expectation}, got ${describe(received)}`);
}

function describe(value: unknown): string {
  if (value === undefined) return '`undefined`';
  if (value === null) return '`null`';
  return `\`${show(value)}\` (${typeof value})`;
}

/** `value` for a message: never throws, never long. */
function show(value: unknown): string {
  let text: string;
  try {
    if (typeof value === 'string') text = `'${value}'`;
    else if (typeof value === 'function') text = 'function';
    else if (typeof value === 'object' && value !== null) text = Array.isArray(value) ? 'array' : 'object';
    else text = String(value);
  } catch {
    text = typeof value;
  }
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
