import { describe, expect, test } from 'vitest';

import {
  checkFreshness,
  checkLinearizable,
  type FreshnessOptions,
  type History,
  type Model,
  type Operation,
  type Verdict,
} from '../../src/testing/index.js';
import { chanceOf } from '../support/chance.ts';

type Part = Partial<Operation> & Pick<Operation, 'kind'>;

/** A history whose operations take one instant each, in the order given, unless they say otherwise. */
function historyOf(parts: readonly Part[], disturbances: History['disturbances'] = []): History {
  const operations = parts.map((part, index): Operation => ({
    id: index,
    process: 'a',
    client: 1,
    keys: ['k'],
    input: undefined,
    begin: index * 10,
    end: index * 10 + 1,
    calledAt: (part.begin ?? index * 10) * 100,
    returnedAt: 'end' in part ? part.end && part.end * 100 : (index * 10 + 1) * 100,
    output: undefined,
    reading: undefined,
    error: undefined,
    ...part,
  }));
  return { operations, disturbances, loads: [] };
}

const written = (version: number): Part => ({ kind: 'source-write', input: version });
const invalidated: Part = { kind: 'invalidate' };
const read = (version: number, more: Partial<Operation> = {}): Part => ({
  kind: 'read',
  reading: { version, status: 'hit', tier: 'memory' },
  ...more,
});

function verdictOf(parts: readonly Part[], options?: FreshnessOptions): Verdict {
  return checkFreshness(historyOf(parts), options);
}

describe('freshness in one process', () => {
  test('lets a read show what an unannounced write has replaced', () => {
    expect(verdictOf([read(1), written(2), read(1)]).ok).toBe(true);
  });

  test('finds a read of what was there before an invalidation, and names both', () => {
    const verdict = verdictOf([written(2), invalidated, read(1)]);

    expect(verdict).toMatchObject({ ok: false, key: 'k', events: [{ kind: 'invalidate' }, { kind: 'read' }] });
  });

  test('binds a read from the call of the invalidation on, not from its return', () => {
    expect(verdictOf([written(2), { ...invalidated, end: 99 }, read(1)]).ok).toBe(false);
  });

  test('lets a read that was called before the invalidation show the old value', () => {
    expect(verdictOf([written(2), { ...invalidated, begin: 30 }, read(1, { begin: 25, end: 50 })]).ok).toBe(true);
  });

  test('binds all keys by a clear', () => {
    expect(verdictOf([written(2), { kind: 'clear', keys: undefined }, read(1)]).ok).toBe(false);
  });

  test('asks nothing of an invalidation that failed', () => {
    expect(verdictOf([written(2), { ...invalidated, error: 'CLOSED' }, read(1)]).ok).toBe(true);
  });

  test('finds a value that nobody has written yet', () => {
    expect(verdictOf([read(2), written(2)]).ok).toBe(false);
  });

  test('finds a hit after an expiry, and lets it be a fallback', () => {
    const expired: Part = { kind: 'expire' };

    expect(verdictOf([written(2), expired, read(1)]).ok).toBe(false);
    expect(verdictOf([written(2), expired, read(1, { reading: { version: 1, status: 'stale' } })]).ok).toBe(true);
  });

  test('finds a refresh that brings what was there before its call', () => {
    expect(verdictOf([written(2), read(1, { kind: 'refresh' })]).ok).toBe(false);
  });

  test('lets a set that was under way at the same time win, and no set that was over', () => {
    const set = (version: number, begin: number, end: number): Part => ({ kind: 'set', input: version, begin, end });

    expect(
      verdictOf([written(2), written(3), set(2, 20, 35), set(3, 30, 40), read(2, { begin: 50, end: 51 })]).ok,
    ).toBe(true);
    expect(
      verdictOf([written(2), written(3), set(2, 20, 25), set(3, 30, 40), read(2, { begin: 50, end: 51 })]).ok,
    ).toBe(false);
  });

  test('finds a value that is older than its window', () => {
    const parts = [written(2), read(1, { begin: 30, end: 31 })];

    expect(verdictOf(parts, { windows: { hit: 3_000 } }).ok).toBe(true);
    expect(verdictOf(parts, { windows: { hit: 2_999 } }).ok).toBe(false);
  });
});

describe('freshness in a fleet', () => {
  const there = { process: 'b' };

  test('leaves out what crosses processes unless it is asked for', () => {
    expect(verdictOf([written(2), invalidated, read(1, there)]).ok).toBe(true);
  });

  test('binds a read from memory only after the delay of the backplane', () => {
    const parts = [written(2), invalidated, read(1, { ...there, begin: 20, end: 21 })];

    expect(verdictOf(parts, { backplaneDelay: 901 }).ok).toBe(true);
    expect(verdictOf(parts, { backplaneDelay: 900 }).ok).toBe(false);
  });

  test('binds a read from storage at once', () => {
    const parts = [
      written(2),
      invalidated,
      read(1, { ...there, reading: { version: 1, status: 'hit', tier: 'redis' } }),
    ];

    expect(verdictOf(parts, { backplaneDelay: 10_000 }).ok).toBe(false);
  });

  test('does not bind others before the change has returned', () => {
    expect(verdictOf([written(2), { ...invalidated, end: 99 }, read(1, there)], { backplaneDelay: 0 }).ok).toBe(true);
  });

  test('excuses what a disturbance kept from being told, until it is over', () => {
    const disturbance = { process: 'a', what: 'partition redis', from: 900, until: 5_000 };
    const history = (begin: number): History =>
      historyOf([written(2), invalidated, read(1, { ...there, begin, end: begin + 1 })], [disturbance]);

    expect(checkFreshness(history(59), { backplaneDelay: 0, recovery: 1_000 }).ok).toBe(true);
    expect(checkFreshness(history(60), { backplaneDelay: 0, recovery: 1_000 }).ok).toBe(false);
    expect(checkFreshness(history(20), { backplaneDelay: 0 }).ok).toBe(false);
  });
});

test('a read says that it is stale where messages were lost that may have been about the change', () => {
  const stale = read(1, { process: 'b', reading: { version: 1, status: 'stale', tier: 'memory' } });
  const gap = (process: string, until: number) => ({ process, what: 'gap', from: until - 10, until });
  const okWith = (disturbance: ReturnType<typeof gap>): boolean =>
    checkFreshness(historyOf([written(2), invalidated, stale], [disturbance]), { backplaneDelay: 0 }).ok;

  expect(okWith(gap('b', 1_500))).toBe(true);
  expect(okWith(gap('c', 1_500))).toBe(false);
  expect(okWith(gap('b', 500))).toBe(false);
});

/** A register for each key: a read brings what was set last. */
const register: Model<number, number | undefined, unknown> = {
  initial: 0,
  meaning: ({ kind, keys, input }) => {
    if (kind !== 'read' && kind !== 'set') return undefined;
    return { key: keys![0]!, input: kind === 'set' ? (input as number) : undefined };
  },
  output: ({ output }) => output,
  step: (state, input, output) => {
    if (input !== undefined) return input;
    return output === undefined || output.value === state ? state : undefined;
  },
  identity: String,
};

const set = (value: number, begin: number, end?: number): Part => ({ kind: 'set', input: value, begin, end });
const got = (output: number, begin: number, end: number): Part => ({ kind: 'read', output, begin, end });

describe('linearizability of a register', () => {
  const good: readonly [string, readonly Part[]][] = [
    ['nothing', []],
    ['a read before all', [got(0, 1, 2), set(1, 3, 4)]],
    ['a read that may see either', [set(1, 1, 10), got(0, 2, 3), got(1, 4, 5)]],
    ['two sets at once in either order', [set(1, 1, 10), set(2, 2, 9), got(2, 11, 12)]],
    ['two sets at once in the other order', [set(1, 1, 10), set(2, 2, 9), got(1, 11, 12)]],
    ['a set that never ended and happened late', [set(1, 1), got(0, 2, 3), got(1, 100, 101)]],
    ['a set that never ended and never happened', [set(1, 1), got(0, 2, 3), got(0, 100, 101)]],
    ['a set that failed and happened', [{ ...set(1, 1, 2), error: 'lost' }, got(1, 3, 4)]],
  ];
  const bad: readonly [string, readonly Part[]][] = [
    ['a stale read', [set(1, 1, 2), got(0, 3, 4)]],
    ['a read of what nobody set', [set(1, 1, 2), got(7, 3, 4)]],
    ['a value that comes back', [set(1, 1, 2), set(2, 3, 4), got(2, 5, 6), got(1, 7, 8)]],
    ['two reads that see two sets in turn', [set(1, 1, 10), got(1, 2, 3), got(0, 4, 5)]],
    ['a set that never ended and is undone', [set(1, 1), got(1, 2, 3), got(0, 4, 5)]],
  ];

  test.each(good)('allows %s', (_, parts) => {
    expect(checkLinearizable(historyOf(parts), register)).toEqual({ ok: true });
  });

  test.each(bad)('finds %s', (_, parts) => {
    expect(checkLinearizable(historyOf(parts), register)).toMatchObject({ ok: false, key: 'k' });
  });

  test('judges each key by itself', () => {
    const parts = [set(1, 1, 2), { ...got(0, 3, 4), keys: ['l'] }];

    expect(checkLinearizable(historyOf(parts), register).ok).toBe(true);
  });

  test('agrees with every order tried one by one', () => {
    const seen = { good: 0, bad: 0 };
    for (let seed = 1; seed <= 400; seed += 1) {
      const chance = chanceOf(seed);
      const parts = Array.from({ length: 6 }, (): Part => {
        const begin = chance.below(12) + chance.next() / 2;
        const end = begin + 0.5 + chance.below(6);
        return chance.below(2) === 0 ? set(1 + chance.below(2), begin, end) : got(chance.below(3), begin, end);
      });

      const { ok } = checkLinearizable(historyOf(parts), register);

      expect({ seed, ok }).toEqual({ seed, ok: someOrderExplains(parts, 0) });
      seen[ok ? 'good' : 'bad'] += 1;
    }
    expect(Math.min(seen.good, seen.bad)).toBeGreaterThan(20);
  });

  test('finds a stale read among 1,000 operations of eight clients', () => {
    const parts = longHistory(1_000, 8);
    const at = parts.findIndex(({ kind }, index) => index > 700 && kind === 'read');
    const stale = parts.map((part, index) => (index === at ? { ...part, output: -1 } : part));

    expect(checkLinearizable(historyOf(parts), register).ok).toBe(true);
    expect(checkLinearizable(historyOf(stale), register)).toMatchObject({ ok: false });
  });
});

/** Whether one of all orders explains `parts`, found the slow way. */
function someOrderExplains(parts: readonly Part[], state: number): boolean {
  if (parts.length === 0) return true;
  const firstEnd = Math.min(...parts.map(({ end }) => end!));
  return parts.some((part, index) => {
    if (part.begin! > firstEnd || (part.kind === 'read' && part.output !== state)) return false;
    const rest = parts.toSpliced(index, 1);
    return someOrderExplains(rest, part.kind === 'set' ? (part.input as number) : state);
  });
}

/** What clients of a real register see that each do one operation after the other. */
function longHistory(length: number, clients: number): Part[] {
  const chance = chanceOf(7);
  const free = Array.from({ length: clients }, () => 0);
  const parts: (Part & { readonly happens: number })[] = [];
  for (let count = 0; count < length; count += 1) {
    const client = count % clients;
    const begin = free[client]! + chance.next();
    const happens = begin + chance.next() * 4;
    const end = happens + chance.next() * 4;
    free[client] = end;
    parts.push({ ...(chance.below(3) === 0 ? set(count + 1, begin, end) : got(0, begin, end)), client, happens });
  }
  let value = 0;
  const values = new Map<Part, number>();
  for (const part of parts.toSorted((a, b) => a.happens - b.happens)) {
    if (part.kind === 'set') value = part.input as number;
    values.set(part, value);
  }
  return parts.map((part) => (part.kind === 'read' ? { ...part, output: values.get(part) } : part));
}
