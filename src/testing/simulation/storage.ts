import type { Lease, LeaseAnswer, StorageAdapter, VersionAnswer } from '../../contracts.js';
import type { Entry } from '../../entry.js';
import { describeKeys } from './history.js';
import type { Link } from './link.js';
import type { LeaseReply, SimulatedStore } from './store.js';

/** What a simulated storage offers beside what each has. */
export interface StorageFeatures {
  /** Leases, of `'redis'` only. @default true */
  readonly lease?: boolean;
  /** `version` and `setIfVersion`. @default true */
  readonly versions?: boolean;
}

/** Does one thing to the store, now or after a way over the network. */
type Call = <T>(what: string, run: () => T) => T | Promise<T>;

/** What all adapters have: the operations of the store, one message each. */
function basics(store: SimulatedStore, call: Call): StorageAdapter {
  return {
    name: store.name,
    get: (key) => call(`get ${key}`, () => store.get(key)),
    set: (key, entry, keepUntil) => call(`set ${key} ${valueOf(entry)}`, () => store.set(key, entry, keepUntil)),
    delete: (key) => call(`delete ${key}`, () => store.delete(key)),
    getMany: (keys) => call(`get ${describeKeys(keys)}`, () => keys.map((key) => store.get(key))),
    setMany: (writes) =>
      call(`set ${writes.map(({ key, entry }) => `${key} ${valueOf(entry)}`).join(',')}`, () => {
        for (const { key, entry, keepUntil } of writes) store.set(key, entry, keepUntil);
      }),
    deleteMany: (keys) =>
      call(`delete ${describeKeys(keys)}`, () => {
        for (const key of keys) store.delete(key);
      }),
    setIfNewer: (key, entry, keepUntil) =>
      call(`set if newer ${key} ${valueOf(entry)}`, () => store.setIfNewer(key, entry, keepUntil)),
    clear: () => call('clear', () => store.clear()),
  };
}

function versions(store: SimulatedStore, call: Call): Pick<StorageAdapter, 'version' | 'setIfVersion'> {
  return {
    version: (key, newerThan) =>
      call(`version ${key}`, (): VersionAnswer => {
        const entry = store.get(key);
        const version = store.version(key);
        return entry !== undefined && entry.startedAt > newerThan ? { version, entry } : { version };
      }),
    setIfVersion: (key, entry, keepUntil, version, change) =>
      call(`set if ${version} ${key} ${valueOf(entry)}`, () => {
        return store.version(key) === version && store.setIfVersion(key, entry, keepUntil, change);
      }),
  };
}

function leases(store: SimulatedStore, call: Call, listen: (key: string, wake: () => void) => () => void) {
  const leaseOf = (key: string, token: string): Lease => ({
    token,
    renew: (ms) => call(`renew ${key}`, () => store.renew(key, token, ms)),
    store: (entry, keepUntil) =>
      call(`store leased ${key} ${valueOf(entry)}`, () => {
        if (store.holder(key) !== token) return false;
        const stored = store.setIfNewer(key, entry, keepUntil);
        store.release(key);
        return stored;
      }),
    release: (open) =>
      call(`release ${key}`, () => {
        if (store.holder(key) === token) store.release(key, open);
      }),
  });
  const answer = (key: string, reply: LeaseReply): LeaseAnswer =>
    reply.kind === 'lease' ? { kind: 'lease', lease: leaseOf(key, reply.token) } : reply;
  return {
    lease: async (key: string, ms: number, newerThan: number): Promise<LeaseAnswer> =>
      answer(key, await call(`lease ${key}`, () => store.lease(key, ms, newerThan))),
    onLeaseEnd: listen,
  };
}

/** An answer of the store, and how often it had started when it gave it. */
class Reply<T> {
  readonly answer: T;
  readonly boot: number;

  constructor(answer: T, boot: number) {
    this.answer = answer;
    this.boot = boot;
  }
}

/** Tells listeners that the store has started again, before they get anything that it answers since. */
class Losses {
  readonly #listeners = new Set<() => void>();
  #boot: number;

  constructor(store: SimulatedStore) {
    this.#boot = store.boot;
  }

  notice(boot: number): void {
    if (boot <= this.#boot) return;
    this.#boot = boot;
    for (const lost of this.#listeners) lost();
  }

  listen(lost: () => void): () => void {
    this.#listeners.add(lost);
    return () => void this.#listeners.delete(lost);
  }
}

/** An adapter for a store behind a network. */
export function distantStorage(
  store: SimulatedStore,
  link: Link,
  beforeEach: () => void,
  features: StorageFeatures,
): StorageAdapter {
  const losses = new Losses(store);
  const call: Call = async (what, run) => {
    const { answer, boot } = await link.request(what, () => {
      beforeEach();
      return new Reply(run(), store.boot);
    });
    losses.notice(boot);
    return answer;
  };
  const waiting = new Set<{ readonly key: string; readonly wake: () => void }>();
  store.leaseEnded.push((key) => {
    for (const it of waiting) if (it.key === key) link.push(it.wake);
  });
  const listen = (key: string, wake: () => void): (() => void) => {
    const listener = { key, wake };
    waiting.add(listener);
    return () => void waiting.delete(listener);
  };
  return {
    ...basics(store, call),
    forgets: true,
    onLoss: (lost) => losses.listen(lost),
    ...(features.versions === false ? {} : versions(store, call)),
    ...(features.lease === false ? {} : leases(store, call, listen)),
  };
}

/** An adapter for a store in a file that the process itself reads and writes: nothing comes in between. */
export function localStorage(
  store: SimulatedStore,
  note: (text: string) => void,
  features: StorageFeatures,
): StorageAdapter {
  const call: Call = (what, run) => {
    const answer = run();
    note(`${store.name}: ${what}`);
    return answer;
  };
  return { ...basics(store, call), ...(features.versions === false ? {} : versions(store, call)) };
}

function valueOf(entry: Entry): string {
  return JSON.stringify(entry.value) ?? 'nothing';
}
