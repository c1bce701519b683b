import type { Clock, Lease, LeaseAnswer } from '../../src/contracts.js';
import { defineStorage, mapStorage, type StorageAdapter, type StorageTier } from '../../src/index.js';

/** A storage with leases that several caches in this process share as if each were a process of its own. */
export interface LeasingStorage extends StorageTier {
  readonly lease: (key: string, ms: number, newerThan: number) => Promise<LeaseAnswer>;
  /** Number of requests for a lease. */
  readonly asked: () => number;
  /** The token of the lease on `key`, if there is one. */
  readonly holder: (key: string) => string | undefined;
  /** Whether waiting callers are told of the end of leases. */
  messages: boolean;
}

/** Stands for a lease whose load has just ended without an entry. */
const OPEN = 'open';

/** A `mapStorage` with asynchronous answers, and with leases that end by `clock`. */
export function leasingStorage(clock: Clock): LeasingStorage {
  const map = mapStorage();
  const leases = new Map<string, { readonly token: string; until: number }>();
  const listeners = new Set<{ readonly key: string; readonly wake: () => void }>();
  let asked = 0;

  const current = (key: string): { readonly token: string; until: number } | undefined => {
    const held = leases.get(key);
    if (held !== undefined && held.until <= clock.now()) leases.delete(key);
    return leases.get(key);
  };
  const end = (key: string): void => {
    leases.delete(key);
    if (storage.messages) for (const { key: about, wake } of listeners) if (about === key) wake();
  };
  const leaseOf = (key: string, token: string): Lease => ({
    token,
    renew: async (ms) => {
      const held = current(key);
      if (held?.token !== token) return false;
      held.until = clock.now() + ms;
      return true;
    },
    store: async (entry, keepUntil) => {
      if (current(key)?.token !== token) return false;
      const stored = map.setIfNewer!(key, entry, keepUntil);
      end(key);
      return stored;
    },
    release: async (open) => {
      if (current(key)?.token !== token) return;
      end(key);
      if (open === true) leases.set(key, { token: OPEN, until: clock.now() + 500 });
    },
  });
  const holder = (key: string): string | undefined => {
    const token = current(key)?.token;
    return token === OPEN ? undefined : token;
  };
  const controls = { messages: true, asked: () => asked, holder };
  const adapter: StorageAdapter & Pick<LeasingStorage, 'lease'> = {
    name: 'leasing',
    get: async (key) => map.get(key),
    getMany: async (keys) => map.getMany!(keys),
    set: async (key, entry, keepUntil) => {
      end(key);
      await map.set(key, entry, keepUntil);
    },
    setIfNewer: async (key, entry, keepUntil) => map.setIfNewer!(key, entry, keepUntil),
    delete: async (key) => {
      end(key);
      return map.delete(key);
    },
    clear: async () => {
      for (const key of leases.keys()) end(key);
      await map.clear!();
    },
    close: async () => {},
    lease: async (key, ms, newerThan) => {
      asked += 1;
      const entry = await map.get(key);
      if (entry !== undefined && entry.startedAt > newerThan) return { kind: 'entry', entry };
      const held = current(key);
      if (held !== undefined) return { kind: held.token === OPEN ? 'open' : 'held' };
      const token = `token-${asked}`;
      leases.set(key, { token, until: clock.now() + ms });
      return { kind: 'lease', lease: leaseOf(key, token) };
    },
    onLeaseEnd: (key, wake) => {
      const listener = { key, wake };
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const lease: LeasingStorage['lease'] = async (key, ms, newerThan) => adapter.lease(key, ms, newerThan);
  const storage: LeasingStorage = Object.assign(defineStorage(adapter), controls, { lease });
  return storage;
}
