import type { InspectedEntry } from '../read/inspect.js';
import type { Cause } from './causes.js';
import type { Explanation } from './explanation.js';
import { readable } from './samples.js';

/** `explanation` in sentences. Each follows from one of its fields. */
export function storyOf(explanation: Omit<Explanation, 'toString'>): string {
  const { key, entries, causes } = explanation;
  const told = causes.map((cause) => causeText(cause)).join('; ');
  return [
    `${readable(key)} ${verdictText(explanation)}.`,
    ...entries.map((entry) => entryText(entry)),
    told === '' ? 'last causes: none known' : `last causes: ${told}`,
  ].join('\n');
}

function verdictText({ verdict, answeredBy, state, entries, loading, failure }: Omit<Explanation, 'toString'>): string {
  const from = answeredBy ?? 'nothing';
  const entry = entries.find(({ tier }) => tier === answeredBy);
  const again = failure && `a load failed ${times(failure.attempts)} (${failure.error})`;
  const retry = failure && `the next one is tried in ${span(failure.retryIn)}`;
  switch (verdict) {
    case 'hit':
      return `is fresh for ${span(entry?.freshFor ?? 0)} and is answered from ${from}`;
    case 'stale': {
      const reload = loading ? 'a reload is under way' : again ? `${again}, and ${retry}` : 'a read starts a reload';
      return `is stale since ${span(-(entry?.freshFor ?? 0))} and is answered at once from ${from}; ${reload}`;
    }
    case 'fallback':
      return `is too old, but ${again}, so the old value from ${from} stands in; ${retry}`;
    case 'failed':
      return `has nothing to answer with: ${again}, and callers get that failure for another ${span(failure?.retryIn ?? 0)}`;
    case 'wait':
      return 'is being loaded: a read waits for that load';
    case 'miss':
      return missText(state);
  }
}

function missText(state: Explanation['state']): string {
  if (state === 'expired')
    return 'is too old: a read loads it, and the old value stands in if that fails and `staleIfError` covers it';
  if (state === 'doubted')
    return 'is not believed: another process changed it, and storage has yet to be told; a read loads it';
  if (state === 'unknown') return 'is not known: storage does not answer, and a read loads it unless it does by then';
  return 'is not cached: a read loads it';
}

function entryText({ tier, age, freshFor, staleFor, fallbackFor, tags }: InspectedEntry): string {
  const parts = [
    `loaded ${span(age)} ago`,
    freshFor > 0 ? `fresh for ${span(freshFor)}` : `stale since ${span(-freshFor)}`,
    staleFor > Math.max(0, freshFor) ? `served while reloaded for ${span(staleFor)}` : '',
    fallbackFor > Math.max(0, staleFor) ? `stands in for ${span(fallbackFor)}` : '',
    tags.length > 0 ? `tags ${tags.map(readable).join(', ')}` : '',
  ];
  return `${readable(tier)}: ${parts.filter((part) => part !== '').join(', ')}`;
}

function causeText({ kind, from, ago, tags, mode, certain }: Cause): string {
  const what = {
    ...{ set: 'set', invalidate: 'invalidated', expire: 'expired', clear: 'cleared with others' },
    tags: `${mode === 'expire' ? 'expired' : 'invalidated'} by tag ${tags.join(', ')}`,
  }[kind];
  const who = from === 'here' ? 'by this process' : `by process ${readable(from)}`;
  return `${certain ? '' : 'perhaps '}${what} ${who} ${span(ago)} ago`;
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`;
}

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const;

/** Milliseconds for people: two digits are enough. */
function span(ms: number): string {
  if (ms === Infinity) return 'ever';
  // A minute and a half is easier to read as seconds.
  const [unit, size] = UNITS.find(([, each]) => ms >= each * 2) ?? (ms >= 1_000 ? (['s', 1_000] as const) : ['ms', 1]);
  const count = ms / size;
  return `${count < 100 && unit !== 'ms' ? Number(count.toFixed(1)) : Math.round(count)} ${unit}`;
}
