import { checkFunction, checkNames, checkObject, checkTags } from '../base/checks.js';
import { parseDuration } from '../base/duration.js';
import type { Clock, Duration, LoadControl, StaleIfError } from '../contracts.js';
import type { Covers, Windows } from '../entry.js';
import { misuse } from '../errors.js';

/** How long values live. */
export interface LifetimeOptions<V> {
  /** How long a value is fresh, counted from its load and never extended by reads, or a function of the value. `Infinity` is allowed; 0 without other windows stores nothing. */
  readonly ttl?: Duration | ((value: V, key: string) => Duration);
  /** How long after the ttl a value is still served while it is reloaded. `Infinity` is allowed. @default 0 @see RFC 5861 §3 */
  readonly staleWhileRevalidate?: Duration;
  /**
   * How long after the ttl a value is served when the load fails. `Infinity` is allowed. With `{ for, when }` only for the failures
   * for which `when` returns true; a duration alone, given to one call, leaves the cache's `when` as it is. @default 0 @see RFC 5861 §4
   */
  readonly staleIfError?: Duration | StaleIfError;
  /** Groups the value belongs to, or a function that tells them: what `invalidateTags` goes by. `undefined` means "not there". */
  readonly tags?: Tags<V>;
}

/** Tags, or a function of a value. */
type Tags<V> = readonly string[] | ((value: V | undefined, key: string) => readonly string[]);

/** {@link LifetimeOptions}, checked and parsed. */
export interface LifetimeSettings<V> {
  readonly ttl: number | ((value: V, key: string) => Duration);
  readonly staleWhileRevalidate: number;
  readonly staleIfError: number;
  readonly tags: Tags<V> | undefined;
  /** Which failures a stored value may stand in for. */
  readonly covers: Covers | undefined;
  /** The same, given for one call: it goes with the value. */
  readonly ownCovers: Covers | undefined;
  /** The windows of every value that is there, where they depend on nothing and there are no tags. */
  readonly fixed: (Windows & { readonly lasts: boolean }) | undefined;
}

/** Checks lifetime options; what is absent comes from `defaults`. */
export function resolveLifetime<V>(
  options: LifetimeOptions<V>,
  ttl: LifetimeOptions<V>['ttl'],
  defaults?: LifetimeSettings<V>,
): LifetimeSettings<V> {
  if (typeof options.tags !== 'function') checkTags(options.tags);
  const { for: errorWindow = defaults?.staleIfError ?? 0, when } = coverage(options.staleIfError);
  const windows = {
    ttl: typeof ttl === 'function' ? ttl : parseDuration('ttl', ttl, ENDLESS),
    staleWhileRevalidate: parseDuration(
      'staleWhileRevalidate',
      options.staleWhileRevalidate ?? defaults?.staleWhileRevalidate ?? 0,
      ENDLESS,
    ),
    staleIfError: parseDuration('staleIfError', errorWindow, ENDLESS),
  };
  // A copy: whoever changes the array later must not change what entries are invalidated by.
  const tags = Array.isArray(options.tags)
    ? [...(options.tags as readonly string[])]
    : (options.tags ?? defaults?.tags);
  const ownCovers = defaults && when;
  const fixed = tags === undefined && ownCovers === undefined ? fixedOf(windows) : undefined;
  return { ...windows, tags, covers: when ?? defaults?.covers, ownCovers, fixed };
}

const ENDLESS = Object.freeze({ infinite: true });

/** The two parts of `staleIfError`. */
export function coverage(option: Duration | StaleIfError | undefined): Partial<StaleIfError> {
  if (typeof option !== 'object' || option === null) return option === undefined ? {} : { for: option };
  checkNames(option, ['for', 'when']);
  checkFunction('staleIfError.when', option.when);
  parseDuration('staleIfError.for', option.for, ENDLESS);
  return option;
}

function fixedOf<V>(
  windows: Pick<LifetimeSettings<V>, 'ttl' | 'staleWhileRevalidate' | 'staleIfError'>,
): LifetimeSettings<V>['fixed'] {
  const { ttl, staleWhileRevalidate, staleIfError } = windows;
  if (typeof ttl === 'function') return undefined;
  return { ...windows, ttl, lasts: ttl + staleWhileRevalidate + staleIfError > 0 };
}

/** What beside the value decides how long it lives. */
export interface LifetimeContext {
  readonly key: string;
  /** What the upstream said of this very value; it wins. */
  readonly control?: LoadControl | undefined;
  /** The ttl of "not there". */
  readonly absentTtl: number;
  /** Share of the ttl that chance may take away, in [0, 1). */
  readonly jitter: number;
  readonly clock: Clock;
}

const NO_CONTROL: LoadControl = Object.freeze({});

const NO_TAGS: readonly string[] = Object.freeze([]);

/** Of a value that is handed out and not kept. */
export const NO_WINDOWS: Windows = Object.freeze({ ttl: 0, staleWhileRevalidate: 0, staleIfError: 0 });

/** The windows of one value, `undefined` being "not there". A `ttl` function is called here and may throw. */
export function windowsOf<V>(lifetime: LifetimeSettings<V>, value: V | undefined, context: LifetimeContext): Windows {
  const { control = NO_CONTROL, jitter, clock } = context;
  if (control === NO_CONTROL && jitter === 0 && value !== undefined && hasFixedTtl(lifetime)) return lifetime;
  const wished = parseDuration('ttl', control.ttl ?? ttlOf(lifetime, value, context), ENDLESS);
  const ttl =
    control.maxTtl === undefined ? wished : Math.min(wished, parseDuration('maxTtl', control.maxTtl, ENDLESS));
  if (value === undefined && ttl === 0) return NO_WINDOWS;
  const window = (name: 'staleWhileRevalidate' | 'staleIfError', given: Duration | undefined): number =>
    parseDuration(name, given ?? lifetime[name], ENDLESS);
  return {
    ttl: jitter === 0 ? ttl : Math.floor(ttl * (1 - jitter * clock.random())),
    staleWhileRevalidate: window('staleWhileRevalidate', control.staleWhileRevalidate),
    staleIfError: window('staleIfError', coverage(control.staleIfError).for),
  };
}

function ttlOf<V>({ ttl }: LifetimeSettings<V>, value: V | undefined, { key, absentTtl }: LifetimeContext): Duration {
  if (value === undefined) return absentTtl;
  return typeof ttl === 'function' ? ttl(value, key) : ttl;
}

/** The tags of one value. A function is called here and may throw. */
export function tagsOf<V>({ tags }: LifetimeSettings<V>, value: V | undefined, key: string): readonly string[] {
  if (typeof tags !== 'function') return tags ?? NO_TAGS;
  const result = tags(value, key);
  if (!Array.isArray(result)) throw misuse('result of tags', 'an array of strings', result);
  checkTags(result);
  return [...result];
}

/** Whether the lifetime is already the windows of any value. */
function hasFixedTtl<V>(lifetime: LifetimeSettings<V>): lifetime is LifetimeSettings<V> & Windows {
  return typeof lifetime.ttl === 'number';
}

/** Checks what an upstream said of a value. */
export function checkControl(control: LoadControl): void {
  checkObject('control', control);
  for (const name of ['ttl', 'maxTtl', 'staleWhileRevalidate', 'staleIfError'] as const) {
    const given = control[name];
    const ms = typeof given === 'object' && name === 'staleIfError' ? coverage(given).for : given;
    if (ms !== undefined) parseDuration(name, ms, ENDLESS);
  }
  checkTags(control.tags);
  if (control.store !== undefined && typeof control.store !== 'boolean')
    throw misuse('store', 'false or absent', control.store);
}
