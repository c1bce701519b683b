import type { Candidate, Value } from '../candidate.ts';

export const candidate: Candidate = {
  name: 'bare `Map` of values',
  kind: 'floor',
  can: { keeps: true, peeks: true, readsMany: true },
  setup: 'never forgets, does not coalesce',
  open(load) {
    const values = new Map<string, Value>();
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
