import type { Duration, LoadControl } from './contracts.js';
import { parseDuration } from './duration.js';
import type { Windows } from './entry.js';
import { misuse } from './errors.js';
import { checkObject, checkTags } from './option-checks.js';

/** How long values live. */
export interface LifetimeOptions<V> {
  /** How long a value is fresh, or a function of the value. `Infinity` is allowed; 0 without other windows stores nothing. */
  readonly ttl?: Duration | ((value: V, key: string) => Duration);
  /** How long after the ttl a value is still served while it is reloaded. `Infinity` is allowed. @default 0 @see RFC 5861 §3 */
  readonly staleWhileRevalidate?: Duration;
  /** How long after the ttl a value is served when the load fails. `Infinity` is allowed. @default 0 @see RFC 5861 §4 */
  readonly staleIfError?: Duration;
  /** Groups the value belongs to; kept with the entry. */
  readonly tags?: readonly string[];
}

/** {@link LifetimeOptions}, checked and parsed. */
export interface LifetimeSettings<V> {
  readonly ttl: number | ((value: V, key: string) => Duration);
  readonly staleWhileRevalidate: number;
  readonly staleIfError: number;
  readonly tags: readonly string[] | undefined;
}

/** Checks lifetime options; what is absent comes from `defaults`. */
export function resolveLifetime<V>(
  options: LifetimeOptions<V>,
  ttl: LifetimeOptions<V>['ttl'],
  defaults?: LifetimeSettings<V>,
): LifetimeSettings<V> {
  checkTags(options.tags);
  const window = (name: 'staleWhileRevalidate' | 'staleIfError'): number =>
    parseDuration(name, options[name] ?? defaults?.[name] ?? 0, { infinite: true });
  return {
    ttl: typeof ttl === 'function' ? ttl : parseDuration('ttl', ttl, { infinite: true }),
    staleWhileRevalidate: window('staleWhileRevalidate'),
    staleIfError: window('staleIfError'),
    tags: options.tags ?? defaults?.tags,
  };
}

/**
 * The windows of one value. A `ttl` function is called here and may throw.
 *
 * `control` is what the upstream said of this very value, and wins.
 */
export function windowsOf<V>(lifetime: LifetimeSettings<V>, value: V, key: string, control: LoadControl): Windows {
  const ttl = control.ttl ?? (typeof lifetime.ttl === 'function' ? lifetime.ttl(value, key) : lifetime.ttl);
  return {
    ttl: parseDuration('ttl', ttl, { infinite: true }),
    staleWhileRevalidate: parseDuration(
      'staleWhileRevalidate',
      control.staleWhileRevalidate ?? lifetime.staleWhileRevalidate,
      { infinite: true },
    ),
    staleIfError: parseDuration('staleIfError', control.staleIfError ?? lifetime.staleIfError, { infinite: true }),
  };
}

/** Checks what an upstream said of a value. */
export function checkControl(control: LoadControl): void {
  checkObject('control', control);
  for (const name of ['ttl', 'staleWhileRevalidate', 'staleIfError'] as const) {
    if (control[name] !== undefined) parseDuration(name, control[name], { infinite: true });
  }
  checkTags(control.tags);
  if (control.store !== undefined && typeof control.store !== 'boolean')
    throw misuse('store', 'false or absent', control.store);
}
