import { LRUCache } from 'lru-cache';

import type { Candidate, Value } from '../candidate.ts';

export const candidate: Candidate = {
  name: 'raw `lru-cache`',
  kind: 'floor',
  can: { keeps: true, peeks: true, readsMany: true },
  setup: '`get`, without ttl; does not coalesce',
  open(load, { max }) {
    const values = new LRUCache<string, Value>({ max });
    const fill = async (key: string): Promise<Value> => {
      const value = await load(key);
      values.set(key, value);
      return value;
    };
    return {
      read: (key) => values.get(key) ?? fill(key),
      peek: (key) => values.get(key),
      readMany: async (keys) => keys.map((key) => values.get(key)),
    };
  },
};
