import type { Candidate, Value } from '../candidate.ts';

export const candidate: Candidate = {
  name: 'bare `Map` of promises',
  kind: 'floor',
  can: { keeps: true, coalesces: true },
  setup: 'never forgets, failures included',
  open(load) {
    const promises = new Map<string, Promise<Value>>();
    return {
      read(key) {
        const held = promises.get(key);
        if (held !== undefined) return held;
        const promise = load(key);
        promises.set(key, promise);
        return promise;
      },
    };
  },
};
