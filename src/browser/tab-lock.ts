import { isSoloflightError } from '../errors.js';
import { holdLease, type TabLockParts } from './tab-lease.js';

interface LockOptions {
  readonly signal?: AbortSignal;
  readonly steal?: boolean;
}

/** The part of a `LockManager` that is used here. */
interface Locks {
  request(name: string, options: LockOptions, run: () => Promise<void>): Promise<void>;
}

/**
 * Waits for the lock that one tab of the origin has at a time, runs `run`, and resolves when the lock is free again.
 *
 * Uses Web Locks. Where these can't be used, for example on a page without TLS, uses a lease in localStorage. Where that
 * can't be used either, nothing is shared, and every tab has the lock.
 */
export async function holdTabLock(parts: TabLockParts): Promise<void> {
  const { locks } = (globalThis as { readonly navigator?: { readonly locks?: Locks } }).navigator ?? {};
  if (locks !== undefined && (await held(locks, parts))) return;
  try {
    await holdLease(parts);
  } catch (error) {
    if (!isSoloflightError(error)) throw error;
    await parts.run(new AbortController().signal);
  }
}

/** Resolves to whether the lock was held, or is not wanted any more. */
async function held(locks: Locks, parts: TabLockParts): Promise<boolean> {
  const { stop, seize } = parts;
  const wait = new AbortController();
  const end = (): void => wait.abort();
  for (const signal of [stop, seize]) signal.addEventListener('abort', end);
  if (stop.aborted) end();
  try {
    if (await heldWith(locks, parts, { signal: wait.signal })) return true;
  } finally {
    for (const signal of [stop, seize]) signal.removeEventListener('abort', end);
  }
  if (stop.aborted || !seize.aborted) return stop.aborted;
  return heldWith(locks, parts, { steal: true });
}

/** Resolves to whether the lock was held. */
async function heldWith(locks: Locks, { name, run }: TabLockParts, options: LockOptions): Promise<boolean> {
  const lost = new AbortController();
  let running: Promise<void> | undefined;
  try {
    await locks.request(`soloflight:${name}`, options, () => (running = run(lost.signal)));
    return true;
  } catch {
    // Not wanted any more, or stolen. Otherwise the origin has no locks.
    if (running === undefined) return false;
    lost.abort();
    await running;
    return true;
  }
}
