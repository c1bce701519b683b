import { misuse } from '../errors.js';
import type { InspectedEntry, Inspection } from '../read/inspect.js';
import { nameOf } from './error-name.js';
import type { ExplainedCache, Explanation } from './explanation.js';
import { known } from './observed.js';
import { recorderOf } from './recorder.js';
import { storyOf } from './story.js';

/**
 * Tells what a `get` of `key` would do now, from what, and what changed the key last. Loads, promotes and counts nothing.
 *
 * Causes are noted from the first `explain`, `observe` or `prometheusText` of this cache on: the last 1,000 changes, by this
 * process and by others that share its backplane. What was before is not known. A verdict holds for the instant at which storage
 * answered, and for a `get` without options. A failure that a stored value covered is taken to be covered still: `staleIfError.when` is
 * not called.
 *
 * @throws TypeError for what is no cache, or a key that is no string; the cache's own error once it is closed.
 */
export async function explain(cache: ExplainedCache, key: string): Promise<Explanation> {
  if (known(cache).kind !== 'cache' || typeof cache.inspect !== 'function')
    throw misuse('cache', 'a TieredCache', cache);
  const { causes } = recorderOf(cache);
  const inspection = await cache.inspect(key);
  const { state, entries, loading, failure } = inspection;
  const explanation = {
    key,
    ...verdictOf(inspection),
    ...{ state, entries, loading },
    failure: failure && {
      ...{ error: wordFor(failure.error), attempts: failure.attempts },
      ...{ retryIn: failure.retryIn, covered: failure.covered },
    },
    causes: causes.of(
      key,
      entries.flatMap(({ tags }) => tags),
    ),
  };
  return Object.defineProperty(explanation, 'toString', { value: () => storyOf(explanation) });
}

/** The order in which a `get` looks: memory, a failure a moment ago, a load under way, pending writes and storage, the upstream. */
function verdictOf({ entries, failure, loading }: Inspection): Pick<Explanation, 'verdict' | 'answeredBy'> {
  const memory = entries.find(({ tier }) => tier === 'memory');
  const other = entries.find(({ tier }) => tier !== 'memory');
  const inMemory = memory && served(memory);
  if (inMemory !== undefined) return inMemory;
  if (failure?.covered === false) return { verdict: 'failed', answeredBy: undefined };
  if (failure !== undefined && memory !== undefined) return { verdict: 'fallback', answeredBy: 'memory' };
  if (loading) return { verdict: 'wait', answeredBy: 'upstream' };
  const stored = other && served(other);
  if (stored !== undefined) return stored;
  if (failure !== undefined && other !== undefined) return { verdict: 'fallback', answeredBy: other.tier };
  return { verdict: 'miss', answeredBy: 'upstream' };
}

function served({ state, tier }: InspectedEntry): Pick<Explanation, 'verdict' | 'answeredBy'> | undefined {
  if (state === 'expired') return undefined;
  return { verdict: state === 'fresh' ? 'hit' : 'stale', answeredBy: tier };
}

function wordFor(error: unknown): string {
  const { code, error: name } = nameOf(error);
  return String(code ?? name);
}
