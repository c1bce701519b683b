import type { WritesLike } from '../../../src/browser/index.js';
import type { WriteStatus } from '../../../src/writes/index.js';

const STATUS: WriteStatus = {
  ...{ pending: 0, inFlight: 0, waiting: 0, failures: 0 },
  ...{ oldestAge: null, lastDeliveryAt: null, nextAttempt: null, lastError: undefined },
};

/** A `WriteBehind` that does nothing but what `own` does. For code inside the page. */
export function idleWrites<V>(own: Partial<WritesLike<V>> = {}): WritesLike<V> {
  const nothing = async (): Promise<undefined> => undefined;
  return {
    deadLetters: { list: async () => [], requeue: nothing, drop: nothing },
    ...{ open: nothing, put: nothing, delete: nothing, read: nothing, flush: nothing, wipe: nothing, close: nothing },
    update: async (_key, fn) => fn(undefined),
    watch: () => ({ outdated: false, end: () => {} }),
    peek: () => undefined,
    status: () => STATUS,
    on: () => () => {},
    ...own,
  };
}
