import { isError } from '../base/realm.js';
import { misuse } from '../errors.js';
import type { WriteOutcome } from './write-options.js';

/**
 * The outcome of each of `count` writes, read from the sink's `answer`.
 *
 * An answer for another number of writes says nothing about any of them: nobody can tell which ones it means.
 * A single outcome that makes no sense counts as `retry`.
 *
 * @throws TypeError if `answer` does not tell what became of the writes.
 */
export function readOutcomes<V>(answer: readonly WriteOutcome<V>[] | void, count: number): readonly WriteOutcome<V>[] {
  if (answer === undefined) return Array.from({ length: count }, () => 'ok' as const);
  if (!Array.isArray(answer) || answer.length !== count) {
    const expected = `nothing, or an array of ${count} outcomes in the order of the writes`;
    throw misuse('answer of the sink', expected, Array.isArray(answer) ? `${answer.length} outcomes` : answer);
  }
  // Not `map`, which skips holes.
  return Array.from(answer as readonly WriteOutcome<V>[], readOutcome);
}

function readOutcome<V>(outcome: WriteOutcome<V>): WriteOutcome<V> {
  if (outcome === 'ok' || outcome === 'retry' || isError(outcome)) return outcome;
  if (typeof outcome === 'object' && outcome !== null) {
    // Each field is read once, where a failing getter is still the sink's failure; a second read may give something else.
    const { reject, conflict, at } = outcome as {
      readonly reject?: unknown;
      readonly conflict?: V;
      readonly at?: unknown;
    };
    if (typeof reject === 'string') return { reject };
    if (conflict !== undefined && at === undefined) return { conflict };
    if (conflict !== undefined && Number.isFinite(at)) return { conflict, at: at as number };
  }
  return misuse(
    'outcome of a write',
    "'ok', 'retry', an Error, { reject: reason } or { conflict: value, at?: epoch milliseconds }",
    outcome,
  );
}
