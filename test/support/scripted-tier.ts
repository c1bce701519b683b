import type { Entry, StorageTier } from '../../src/index.js';
import { defineStorage, mapStorage } from '../../src/index.js';

/** One call of a {@link ScriptedTier}, waiting for the test to settle it. */
export interface TierCall {
  readonly operation: 'get' | 'set' | 'setIfNewer' | 'delete';
  readonly key: string;
  /** The entry to store. */
  readonly entry: Entry | undefined;
  readonly settled: boolean;
  /** Carries the operation out, without answering yet. A read takes what is stored now. */
  land(): void;
  /** Answers, after carrying the operation out unless that was done already. */
  pass(): void;
  /** Answers with `result` instead, without carrying anything out. */
  answer(result: unknown): void;
  /** Fails, whether the operation was carried out or not. */
  fail(error?: unknown): void;
}

/** A storage tier whose every call waits until the test settles it, so that every interleaving is written out. */
export interface ScriptedTier {
  readonly tier: StorageTier;
  /** The storage itself. */
  readonly stored: StorageTier;
  /** All calls so far, in order. */
  readonly calls: readonly TierCall[];
  /** The waiting calls, oldest first. */
  readonly waiting: readonly TierCall[];
  /** The oldest waiting call of `operation`. @throws Error if there is none. */
  next(operation: TierCall['operation'], key?: string): TierCall;
}

export function scriptedTier({ setIfNewer = false }: { readonly setIfNewer?: boolean } = {}): ScriptedTier {
  const stored = mapStorage();
  const calls: TierCall[] = [];
  const called = <T>(
    operation: TierCall['operation'],
    key: string,
    entry: Entry | undefined,
    run: () => T,
  ): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      let landed: { readonly result: T } | undefined;
      let settled = false;
      const land = (): { readonly result: T } => (landed ??= { result: run() });
      const settle = (): void => {
        if (settled) throw new Error(`this ${operation} of '${key}' is settled already`);
        settled = true;
      };
      calls.push({
        operation,
        key,
        entry,
        get settled() {
          return settled;
        },
        land,
        pass() {
          settle();
          resolve(land().result);
        },
        answer(result) {
          settle();
          resolve(result as T);
        },
        fail(error = new Error(`${operation} failed`)) {
          settle();
          reject(error);
        },
      });
    });
  const tier: StorageTier = defineStorage({
    name: 'scripted',
    get: (key) => called('get', key, undefined, () => stored.get(key) as Entry | undefined),
    set: (key, entry, keepUntil) => called('set', key, entry, () => void stored.set(key, entry, keepUntil)),
    delete: (key) => called('delete', key, undefined, () => stored.delete(key) as boolean),
    ...(setIfNewer
      ? {
          setIfNewer: (key: string, entry: Entry, keepUntil: number) =>
            called('setIfNewer', key, entry, () => stored.setIfNewer?.(key, entry, keepUntil) as boolean),
        }
      : {}),
  });
  const waiting = (): TierCall[] => calls.filter((call) => !call.settled);
  return {
    tier,
    stored,
    calls,
    get waiting() {
      return waiting();
    },
    next(operation, key) {
      const call = waiting().find((each) => each.operation === operation && (key === undefined || each.key === key));
      if (call === undefined)
        throw new Error(
          `no ${operation} is waiting, but: ${waiting()
            .map((each) => each.operation)
            .join(', ')}`,
        );
      return call;
    },
  };
}
