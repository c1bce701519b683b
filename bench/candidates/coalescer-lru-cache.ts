import { LRUCache } from 'lru-cache';

import type { Candidate, Value } from '../candidate.ts';

export const candidate: Candidate = {
  name: 'hand-written coalescer over `lru-cache`',
  kind: 'floor',
  can: { keeps: true, coalesces: true, expires: true, peeks: true },
  setup: "an `async` function, as people write it, with `lru-cache`'s own ttl",
  open(load, { ttl, max }) {
    const values = new LRUCache<string, Value>({ max, ttl });
    const flights = new Map<string, Promise<Value>>();
    const fly = async (key: string): Promise<Value> => {
      try {
        const value = await load(key);
        values.set(key, value);
        return value;
      } finally {
        flights.delete(key);
      }
    };
    return {
      async read(key) {
        const value = values.get(key);
        if (value !== undefined) return value;
        let flight = flights.get(key);
        if (flight === undefined) {
          flight = fly(key);
          flights.set(key, flight);
        }
        return flight;
      },
      peek: (key) => values.get(key),
    };
  },
};
