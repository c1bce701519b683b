import type { Entry } from '../../entry.js';
import type { ChanceStream } from './streams.js';

/** An entry as a store keeps it. */
interface Kept {
  readonly entry: Entry;
  readonly keepUntil: number;
}

interface HeldLease {
  readonly token: string;
  readonly until: number;
}

/** A store's answer to a request for a lease. */
export type LeaseReply =
  | { readonly kind: 'lease'; readonly token: string }
  | { readonly kind: 'entry'; readonly entry: Entry }
  | { readonly kind: 'held' | 'open' };

/** The token of a lease whose load has just ended without an entry, and how long that is told, milliseconds. */
const OPEN = 'open';
const OPEN_FOR = 500;

/**
 * The data of a simulated storage, and its operations, each of them atomic: what the scripts of a Redis, or the statements
 * of an SQLite file, do to what is stored.
 */
export class SimulatedStore {
  readonly name: string;
  readonly #now: () => number;
  readonly #expires: boolean;
  readonly #entries = new Map<string, Kept>();
  readonly #leases = new Map<string, HeldLease>();
  /** Made when somebody asks, gone with every change: a lost one equals none that was told before. */
  readonly #marks = new Map<string, string>();
  /** Takes back the changes so far, the last one first. */
  readonly #undo: { readonly at: number; readonly run: () => void }[] = [];
  #saved = 0;
  /** Counts what must never come again, whatever a snapshot brings back. */
  #count = 0;
  /** How often it has started again. */
  boot = 0;
  /** Told of the end of a lease. */
  readonly leaseEnded: ((key: string) => void)[] = [];

  constructor(name: string, now: () => number, expires: boolean) {
    this.name = name;
    this.#now = now;
    this.#expires = expires;
  }

  get(key: string): Entry | undefined {
    const kept = this.#entries.get(key);
    if (kept === undefined) return undefined;
    return this.#expires && kept.keepUntil <= this.#now() ? undefined : kept.entry;
  }

  set(key: string, entry: Entry, keepUntil: number): void {
    this.#change(key);
    this.#put(this.#entries, key, { entry, keepUntil });
  }

  delete(key: string): boolean {
    this.#change(key);
    const held = this.get(key) !== undefined;
    this.#put(this.#entries, key, undefined);
    return held;
  }

  setIfNewer(key: string, entry: Entry, keepUntil: number): boolean {
    const stored = this.get(key);
    if (stored !== undefined && stored.startedAt > entry.startedAt) return false;
    this.#put(this.#entries, key, { entry, keepUntil });
    return true;
  }

  version(key: string): string {
    const known = this.#marks.get(key);
    if (known !== undefined) return `${this.boot}.${known}`;
    this.#count += 1;
    this.#put(this.#marks, key, String(this.#count));
    return `${this.boot}.${this.#count}`;
  }

  setIfVersion(key: string, entry: Entry, keepUntil: number, change: boolean): boolean {
    if (!change) return this.setIfNewer(key, entry, keepUntil);
    this.set(key, entry, keepUntil);
    return true;
  }

  lease(key: string, ms: number, newerThan: number): LeaseReply {
    const entry = this.get(key);
    if (entry !== undefined && entry.startedAt > newerThan) return { kind: 'entry', entry };
    const by = this.holder(key);
    if (by !== undefined) return { kind: by === OPEN ? 'open' : 'held' };
    this.#count += 1;
    const token = `lease-${this.#count}`;
    this.#put(this.#leases, key, { token, until: this.#now() + ms });
    return { kind: 'lease', token };
  }

  /** The token of the lease on `key`. */
  holder(key: string): string | undefined {
    const held = this.#leases.get(key);
    return held === undefined || held.until <= this.#now() ? undefined : held.token;
  }

  renew(key: string, token: string, ms: number): boolean {
    if (this.holder(key) !== token) return false;
    this.#put(this.#leases, key, { token, until: this.#now() + ms });
    return true;
  }

  /** `open`: those who ask in the next moment are told that a load has just ended without an entry. */
  release(key: string, open = false): void {
    if (!this.#leases.has(key)) return;
    this.#put(this.#leases, key, open ? { token: OPEN, until: this.#now() + OPEN_FOR } : undefined);
    for (const told of this.leaseEnded) told(key);
  }

  clear(): void {
    for (const key of [...this.#leases.keys()]) this.release(key);
    for (const key of [...this.#marks.keys()]) this.#put(this.#marks, key, undefined);
    for (const key of [...this.#entries.keys()]) this.#put(this.#entries, key, undefined);
  }

  /** Removes one entry, lease or mark at random, and tells its name. */
  evict(stream: ChanceStream): string | undefined {
    const places = [this.#entries, this.#leases, this.#marks].flatMap((map: Map<string, unknown>) =>
      [...map.keys()].map((name) => ({ map, name })),
    );
    const place = places[stream.below(places.length)];
    if (place === undefined) return undefined;
    this.#put(place.map, place.name, undefined);
    const kind = place.map === this.#entries ? 'entry' : place.map === this.#leases ? 'lease' : 'version';
    return `${kind} ${place.name}`;
  }

  snapshot(): void {
    this.#saved = this.#undo.length;
  }

  /** Starts anew with what the last snapshot holds. */
  restore(): void {
    this.#rewind(() => this.#undo.length > this.#saved);
  }

  /** A replica takes over that has not seen the changes since `instant`. */
  failover(instant: number): void {
    this.#rewind(() => (this.#undo.at(-1)?.at ?? -1) > instant);
  }

  #rewind(more: () => boolean): void {
    while (more()) this.#undo.pop()!.run();
    this.#saved = Math.min(this.#saved, this.#undo.length);
    this.boot += 1;
  }

  #change(key: string): void {
    this.#put(this.#marks, key, undefined);
    this.release(key);
  }

  #put<T>(map: Map<string, T>, name: string, value: T | undefined): void {
    const before = map.get(name);
    if (before === undefined && value === undefined) return;
    const write = (it: T | undefined): void => void (it === undefined ? map.delete(name) : map.set(name, it));
    this.#undo.push({ at: this.#now(), run: () => write(before) });
    write(value);
  }
}
