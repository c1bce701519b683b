import { describe, expect, test } from 'vitest';

import { createEntry } from '../../src/entry.js';
import type { MemoryTier } from '../../src/index.js';
import { lruMemory } from '../../src/memory/lru.js';
import { sieveMemory } from '../../src/memory/sieve.js';
import { fc, runs } from '../support/property.js';

const KEYS = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
const max = fc.integer({ min: 1, max: 5 });
const step = fc.record({
  verb: fc.oneof(
    { weight: 4, arbitrary: fc.constant('set') },
    { weight: 4, arbitrary: fc.constant('get') },
    { weight: 2, arbitrary: fc.constantFrom('peek', 'delete') },
    { weight: 1, arbitrary: fc.constant('clear') },
  ),
  key: fc.constantFrom(...KEYS),
});
const steps = fc.array(step, { maxLength: 80 });

function valued(value: number) {
  return createEntry(value, { ttl: 1, staleWhileRevalidate: 0, staleIfError: 0 }, { startedAt: 0, createdAt: 0 });
}

/** SIEVE as its authors write it: a queue, a bit, and a hand that is a place in the queue. */
class Model {
  readonly #max: number;
  /** Oldest first. */
  #queue: { readonly key: string; value: number; visited: boolean }[] = [];
  #hand = 0;

  constructor(max: number) {
    this.#max = max;
  }

  find(key: string) {
    return this.#queue.find((entry) => entry.key === key);
  }

  set(key: string, value: number): void {
    const held = this.find(key);
    if (held !== undefined) held.value = value;
    else {
      if (this.#queue.length === this.#max) this.#evict();
      this.#queue.push({ key, value, visited: false });
    }
  }

  delete(key: string): boolean {
    const place = this.#queue.findIndex((entry) => entry.key === key);
    if (place >= 0) this.#take(place);
    return place >= 0;
  }

  clear(): void {
    this.#queue = [];
    this.#hand = 0;
  }

  #evict(): void {
    for (;;) {
      const entry = this.#queue[this.#hand]!;
      if (!entry.visited) return this.#take(this.#hand);
      entry.visited = false;
      this.#hand = (this.#hand + 1) % this.#queue.length;
    }
  }

  /** Behind the hand everything moves up by one. At the newest, whatever comes next, the hand begins again. */
  #take(place: number): void {
    this.#queue.splice(place, 1);
    if (place < this.#hand) this.#hand -= 1;
    if (this.#hand === this.#queue.length) this.#hand = 0;
  }
}

test('sieveMemory holds what SIEVE holds, whatever was read, replaced, deleted or cleared', () => {
  fc.assert(
    fc.property(max, steps, (most, taken) => {
      const memory = sieveMemory<number>({ max: most });
      const model = new Model(most);

      for (const [number, { verb, key }] of taken.entries()) {
        const held = model.find(key);
        if (verb === 'get') {
          expect(memory.get(key)?.value).toBe(held?.value);
          if (held !== undefined) held.visited = true;
        }
        if (verb === 'set') {
          memory.set(key, valued(number));
          model.set(key, number);
        }
        if (verb === 'delete') expect(memory.delete(key)).toBe(model.delete(key));
        if (verb === 'clear') {
          memory.clear();
          model.clear();
        }
        for (const name of KEYS) expect(memory.peek(name)?.value).toBe(model.find(name)?.value);
      }
    }),
    { numRuns: runs(500) },
  );
});

describe.each([
  ['lruMemory', (most: number) => lruMemory<number>({ max: most })],
  ['sieveMemory', (most: number) => sieveMemory<number>({ max: most })],
])('%s', (_, open: (most: number) => MemoryTier<number>) => {
  test('is never larger than `max`, gives the last value or none, and counts what it has dropped', () => {
    fc.assert(
      fc.property(max, steps, (most, taken) => {
        const memory = open(most);
        const written = new Map<string, number>();
        /** Entries that came, and those of them that were taken out on demand. */
        let added = 0;
        let removed = 0;

        for (const [number, { verb, key }] of taken.entries()) {
          const held = memory.peek(key);
          if (held !== undefined) expect(held.value).toBe(written.get(key));
          if (verb === 'get') expect(memory.get(key)).toBe(held);
          if (verb === 'set') {
            const entry = valued(number);
            memory.set(key, entry);
            expect(memory.peek(key)).toBe(entry);
            written.set(key, number);
            added += held === undefined ? 1 : 0;
          }
          if (verb === 'delete') {
            expect(memory.delete(key)).toBe(held !== undefined);
            expect(memory.peek(key)).toBeUndefined();
            removed += held === undefined ? 0 : 1;
          }
          if (verb === 'clear') {
            removed += memory.size;
            memory.clear();
          }
          expect(memory.size).toBe(KEYS.filter((name) => memory.peek(name) !== undefined).length);
          expect(memory.size).toBeLessThanOrEqual(most);
          expect(memory.evictions).toBe(added - removed - memory.size);
        }
      }),
      { numRuns: runs(300) },
    );
  });
});
