import type { Backplane, BackplaneListener, BackplaneMessage } from '../../src/contracts.js';
import { defineBackplane } from '../../src/index.js';

/** A channel between the caches of one test, which decides when, how often and in which order messages arrive. */
export interface Wire {
  /** A backplane for one more cache. */
  readonly plug: () => Backplane;
  /** All that was published, in order. */
  readonly sent: readonly BackplaneMessage[];
  /** Whether messages arrive as soon as they are published. On at first. */
  open: boolean;
  /** While set, `publish` rejects with it. */
  failure: unknown;
  /** Delivers `messages` to all listeners. */
  readonly deliver: (...messages: readonly BackplaneMessage[]) => void;
  /** Tells all listeners that messages may be lost. */
  readonly lose: () => void;
  /** Called before each subscription, which waits for what it returns. */
  admit: () => Promise<void>;
  /** The current listeners. */
  readonly listeners: ReadonlySet<BackplaneListener>;
  /** Calls of `publish` so far. */
  readonly publications: () => number;
}

export function wire(): Wire {
  const listeners = new Set<BackplaneListener>();
  const sent: BackplaneMessage[] = [];
  let publications = 0;
  const self: Wire = {
    sent,
    listeners,
    open: true,
    failure: undefined,
    publications: () => publications,
    admit: async () => {},
    deliver: (...messages) => {
      for (const message of messages)
        // Cloned as on a wire: nobody shares objects with the sender.
        for (const listener of listeners) listener.receive(structuredClone(message));
    },
    lose: () => {
      for (const listener of listeners) listener.lost();
    },
    plug: () =>
      defineBackplane({
        name: 'wire',
        publish: async (messages) => {
          publications += 1;
          if (self.failure !== undefined) throw self.failure;
          sent.push(...messages);
          if (self.open) self.deliver(...messages);
        },
        subscribe: async (listener) => {
          await self.admit();
          listeners.add(listener);
          return () => void listeners.delete(listener);
        },
      }),
  };
  return self;
}
