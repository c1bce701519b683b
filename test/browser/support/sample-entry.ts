import type { Entry } from '../../../src/index.js';

/** An entry that is fresh for an hour, whose load started `age` milliseconds ago. For code inside the page. */
export function sampleEntry(value: unknown, age = 0): Entry {
  const startedAt = Date.now() - age;
  const freshUntil = startedAt + 3_600_000;
  return {
    value,
    startedAt,
    createdAt: startedAt,
    freshUntil,
    staleUntil: freshUntil,
    errorUntil: freshUntil,
    loadMs: 0,
    tags: [],
    meta: undefined,
  };
}
