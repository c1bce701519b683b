import { misuse } from '../errors.js';

const UNITS: Readonly<Record<string, number>> = Object.freeze({
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
});

/** The bounds of a duration option. */
interface DurationBounds {
  /** Whether 0 is allowed. @default true */
  readonly zero?: boolean;
  /** Whether `Infinity` is allowed. @default false */
  readonly infinite?: boolean;
}

/**
 * `value` in milliseconds.
 *
 * @throws TypeError naming the option, what was expected and what was given.
 */
export function parseDuration(
  name: string,
  value: unknown,
  { zero = true, infinite = false }: DurationBounds = {},
): number {
  const ms = typeof value === 'string' ? parseText(value) : value;
  const finite = typeof ms === 'number' && (Number.isFinite(ms) || (infinite && ms === Infinity));
  if (finite && (zero ? ms >= 0 : ms > 0)) return ms;
  throw misuse(
    name,
    `a duration ${zero ? '≥' : '>'} 0${infinite ? ' or Infinity' : ''} (milliseconds or '10s')`,
    value,
  );
}

function parseText(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  return match === null ? NaN : Number(match[1]) * (UNITS[match[2] ?? ''] ?? NaN);
}

/**
 * A duration given as text, for example by an environment variable, in milliseconds: what options take.
 *
 * @throws TypeError for what is no duration, naming `name`.
 *
 * @example
 * ```ts
 * import { parseDuration } from 'soloflight';
 *
 * console.log(parseDuration(process.env['CACHE_TTL'] ?? '10s', 'CACHE_TTL')); // 10000
 * ```
 */
export function durationOf(value: string | number, name = 'duration'): number {
  return parseDuration(name, value, { infinite: true });
}
