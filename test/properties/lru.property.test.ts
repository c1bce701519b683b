import { expect, test } from 'vitest';

import { createEntry } from '../../src/entry.js';
import { lruMemory } from '../../src/memory/lru.js';
import { fc, runs } from '../support/property.js';

const MAX = 3;
const key = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const step = fc.oneof(
  // Many in a row, of one key or of several: what is remembered of reads must not change the order of use.
  { weight: 3, arbitrary: fc.record({ verb: fc.constant('get'), key, times: fc.integer({ min: 1, max: 20 }) }) },
  { weight: 2, arbitrary: fc.record({ verb: fc.constantFrom('set', 'delete', 'peek'), key, times: fc.constant(1) }) },
);

test('what was used least recently is dropped first, however reads follow each other', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const memory = lruMemory<number>({ max: MAX });
      /** Least recently used first. */
      const model = new Map<string, number>();
      let written = 0;
      const use = (used: string, value: number) => {
        model.delete(used);
        model.set(used, value);
        for (const [oldest] of model) if (model.size > MAX) model.delete(oldest);
      };

      for (const { verb, key: name, times } of steps) {
        const held = model.get(name);
        for (let time = 0; time < times; time += 1) {
          if (verb === 'get') expect(memory.get(name)?.value).toBe(held);
          if (verb === 'peek') expect(memory.peek(name)?.value).toBe(held);
        }
        if (verb === 'get' && held !== undefined) use(name, held);
        if (verb === 'delete') expect(memory.delete(name)).toBe(model.delete(name));
        if (verb !== 'set') continue;
        written += 1;
        const windows = { ttl: 1, staleWhileRevalidate: 0, staleIfError: 0 };
        memory.set(name, createEntry(written, windows, { startedAt: 0, createdAt: 0 }));
        use(name, written);
      }

      for (const name of ['a', 'b', 'c', 'd', 'e']) expect(memory.peek(name)?.value).toBe(model.get(name));
    }),
    { numRuns: runs(300) },
  );
});
