import type { Candidate, Value } from '../candidate.ts';

export const candidate: Candidate = {
  name: 'hand-written coalescer',
  kind: 'floor',
  can: { coalesces: true },
  setup: 'a `Map` of promises, each removed when it settles',
  open(load) {
    const flights = new Map<string, Promise<Value>>();
    return {
      read(key) {
        const flight = flights.get(key);
        if (flight !== undefined) return flight;
        const promise = load(key);
        flights.set(key, promise);
        const remove = (): void => void flights.delete(key);
        promise.then(remove, remove);
        return promise;
      },
    };
  },
};
