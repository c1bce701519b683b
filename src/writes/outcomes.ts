import { misuse } from '../errors.js';
import type { WriteOutcome } from './write-options.js';

/**
 * What `answer` says about each of `count` writes.
 *
 * An answer for more or fewer writes than were given says nothing about any of them: it can't be told which one is meant.
 * A single outcome that makes no sense counts as `retry`.
 *
 * @throws TypeError if nobody can know what became of the writes.
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
  if (outcome === 'ok' || outcome === 'retry' || outcome instanceof Error) return outcome;
  if (typeof outcome === 'object' && outcome !== null) {
    // Read once, while a failure to do so is still the sink's: what a getter gives later may be something else.
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
