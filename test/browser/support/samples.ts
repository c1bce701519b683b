import type { Entry } from '../../../src/index.js';
import type { QueuedWrite } from '../../../src/writes/index.js';

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

/** A write that was accepted and not delivered. For code inside the page. */
export function sampleWrite(sequence: number, value: unknown): QueuedWrite {
  const counts = { attempts: 0, revision: 0, triedFor: 0, whole: false };
  return { id: `writer-${sequence}`, sequence, key: 'k', kind: 'put', value, at: 1, ...counts, dead: undefined };
}
