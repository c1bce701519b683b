/** What callers share: the value itself, the value frozen, or nothing. */
export type Isolate = 'none' | 'freeze' | 'clone';

/** How values enter and leave a cache. */
export interface Isolation {
  /** The value as the cache keeps it. May throw for one that can't be isolated. */
  readonly keep: <T>(value: T) => T;
  /** The same, where that is another value or may fail. */
  readonly keeps?: (<T>(value: T) => T) | undefined;
  /** A kept value as one caller gets it. */
  readonly give: <T>(value: T) => T;
  /** Whether every caller gets a value of its own. */
  readonly perCaller: boolean;
}

const same = <T>(value: T): T => value;
const copy = <T>(value: T): T => structuredClone(value);

const ISOLATIONS: Readonly<Record<Isolate, Isolation>> = Object.freeze({
  none: { keep: same, give: same, perCaller: false },
  freeze: { keep: deepFrozen, keeps: deepFrozen, give: same, perCaller: false },
  clone: { keep: copy, keeps: copy, give: copy, perCaller: true },
});

/** The isolation of that name, or `undefined` where there is none. */
export function isolationOf(name: unknown): Isolation | undefined {
  return typeof name === 'string' && Object.hasOwn(ISOLATIONS, name) ? ISOLATIONS[name as Isolate] : undefined;
}

/** `value` with all plain objects and arrays in it frozen. What else there is, a Map or a Date, keeps its methods. */
function deepFrozen<T>(value: T): T {
  const pending: unknown[] = [value];
  for (const next of pending) {
    if (typeof next !== 'object' || next === null || Object.isFrozen(next)) continue;
    // The elements of a buffer can't be frozen, and trying is an error.
    if (ArrayBuffer.isView(next)) continue;
    Object.freeze(next);
    pending.push(...Object.values(next));
  }
  return value;
}
