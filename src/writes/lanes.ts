import { copyOf } from '../base/copy.js';
import { isThenable } from '../base/promises.js';
import type { QueuedWrite } from '../contracts.js';
import { misuse } from '../errors.js';
import { isolated, toPendingWrite, type PendingWrite } from './pending-write.js';
import type { WriteIds } from './write-ids.js';

/** A write in memory, and the state of it that the queue holds. */
export interface Held {
  /** Its current state. Replaced, never changed. */
  write: QueuedWrite;
  /** The state that the queue is known to hold. Written by the journal, and on restore. */
  stored: QueuedWrite | undefined;
  /** Its state when the queue was read. Its sink may know the id, if the queue was too full for a mark. */
  restored: QueuedWrite | undefined;
  /** Whether the write is over, and has only to be removed from the queue. */
  done: boolean;
  /** Monotonic milliseconds of the first attempt in this process. */
  triedSince: number | undefined;
  readonly lane: Lane;
}

/** The writes of one key, in order. At most the first is being delivered, and only the last absorbs new ones. */
export interface Lane {
  readonly key: string;
  /** Assigned before anybody sees the lane, only mutated later. */
  held: Held[];
  /** Whether the first write is being delivered, or the queue does not know yet how that ended. */
  busy: boolean;
  /** Failures in a row of the first write that concerned this key alone. */
  failures: number;
  /** Monotonic milliseconds before which the first write is not tried again. */
  notBefore: number;
  /** Whether the first write failed as the only one of its batch. It goes alone, so that it can't take others down. */
  alone: boolean;
}

/** A write before it is accepted. */
export interface Incoming {
  readonly key: string;
  readonly kind: 'put' | 'delete';
  readonly value: unknown;
  readonly at: number;
  /** An id of the call, kept with the write. */
  readonly call?: string | undefined;
}

/** So many ids of calls are kept with one write. */
const MOST_CALLS = 64;

type Merge = (pending: never, incoming: never, key: string) => unknown;

/** The pending writes of a `WriteBehind`, by key. Knows no queue, no sink and no time of its own. */
export class Lanes {
  readonly #lanes = new Map<string, Lane>();
  readonly #merge: Merge | undefined;
  readonly #ids: WriteIds;
  #size = 0;

  constructor(merge: Merge | undefined, ids: WriteIds) {
    this.#merge = merge;
    this.#ids = ids;
  }

  /** Number of pending writes. */
  get size(): number {
    return this.#size;
  }

  /** The keys with pending writes. */
  get keys(): string[] {
    return [...this.#lanes.keys()];
  }

  /** Whether a write of `key` would be coalesced into one that waits. */
  coalesces(key: string): boolean {
    const lane = this.#lanes.get(key);
    return lane !== undefined && isOpen(last(lane));
  }

  /**
   * Accepts a write: coalesces it into the last one of its key if no sink can have seen that, else queues it behind.
   *
   * `replace` skips `merge`. Throws what `merge` throws, having changed nothing.
   */
  accept({ key, kind, value, at, call }: Incoming, replace: boolean): Held {
    const lane = this.#lanes.get(key);
    const previous = lane === undefined ? undefined : last(lane);
    if (previous !== undefined && isOpen(previous)) {
      const { write } = previous;
      const merged = replace || kind === 'delete' ? value : this.#merged(write, key, value);
      previous.write = {
        id: write.id,
        sequence: write.sequence,
        key,
        kind,
        value: merged,
        at,
        attempts: 0,
        revision: write.revision + (write === previous.restored ? 1 : 0),
        triedFor: 0,
        // After a delete there is no value to merge into.
        whole: replace || write.whole || write.kind === 'delete',
        dead: undefined,
        calls: withCall(write.calls, call),
      };
      return previous;
    }
    const sequence = this.#ids.next(at);
    const id = this.#ids.id;
    const states = { attempts: 0, revision: 0, triedFor: 0, whole: replace, dead: undefined };
    return this.#append({ id, sequence, key, kind, value, at, ...states, calls: withCall(undefined, call) }, lane);
  }

  /** Adds a write that the queue holds, at the place of its sequence, unless it is already there. */
  restore(write: QueuedWrite): void {
    const lane = this.#lanes.get(write.key);
    if (lane?.held.some((held) => held.write.id === write.id) === true) return;
    const held = this.#append(write, lane);
    held.stored = held.restored = write;
    const { held: all, busy } = held.lane;
    all.pop();
    const place = all.findIndex((other, index) => !(busy && index === 0) && other.write.sequence > write.sequence);
    all.splice(place === -1 ? all.length : place, 0, held);
  }

  /** Resets `held` to the state that the queue holds, or removes it if the queue holds none. */
  revert(held: Held): void {
    if (held.stored === undefined) this.#remove(held);
    else held.write = held.stored;
  }

  /** Removes `held`, the first write of its key, and frees the next one. */
  finish(held: Held): void {
    const { lane } = held;
    this.#remove(held);
    lane.busy = false;
    lane.alone = false;
    lane.failures = 0;
    lane.notBefore = 0;
  }

  #remove(held: Held): void {
    const { lane } = held;
    const place = lane.held.indexOf(held);
    if (place === -1) return;
    lane.held.splice(place, 1);
    this.#size -= 1;
    if (lane.held.length === 0) this.#lanes.delete(lane.key);
  }

  /** The state of `key` after all its pending writes, if there are any, merged as the sink will see it. */
  find<V>(key: string): PendingWrite<V> | undefined {
    const lane = this.#lanes.get(key);
    if (lane === undefined) return undefined;
    let [{ write }] = lane.held as [Held];
    for (const { write: next } of lane.held.slice(1)) {
      write = next.whole || next.kind === 'delete' ? next : { ...next, value: this.#merged(write, key, next.value) };
    }
    return toPendingWrite(isolated(write));
  }

  /**
   * Takes up to `limit` writes that may be delivered at `now`, each the first of its key, and marks their lanes busy.
   *
   * Takes none unless one of them is due: its sequence is at most `goal`, or it has failed before.
   */
  take(limit: number, goal: number, now: number): Held[] {
    const due: Held[] = [];
    const others: Held[] = [];
    for (const lane of this.#lanes.values()) {
      const first = lane.held[0] as Held;
      if (lane.busy || lane.notBefore > now) continue;
      const isDue = first.write.sequence <= goal || lane.failures > 0;
      if (lane.alone && isDue && due.length === 0) return started([first]);
      if (lane.alone) continue;
      if (isDue && due.push(first) === limit) break;
      if (!isDue && others.length < limit) others.push(first);
    }
    if (due.length === 0) return [];
    return started([...due, ...others.slice(0, limit - due.length)]);
  }

  /** Gives all other keys precedence over this one. */
  putLast(lane: Lane): void {
    if (this.#lanes.delete(lane.key)) this.#lanes.set(lane.key, lane);
  }

  /** Forgets everything, and tells what that was. */
  clear(): QueuedWrite[] {
    const writes = [...this.#lanes.values()].flatMap((lane) => lane.held.splice(0).map(({ write }) => write));
    this.#lanes.clear();
    this.#size = 0;
    return writes;
  }

  /** Ends the pauses of all keys. */
  resume(): void {
    for (const lane of this.#lanes.values()) lane.notBefore = 0;
  }

  /** The earliest instant at which a key that pauses may be tried again. */
  get earliestRetry(): number {
    let earliest = Infinity;
    for (const { busy, failures, notBefore } of this.#lanes.values()) {
      if (!busy && failures > 0) earliest = Math.min(earliest, notBefore);
    }
    return earliest;
  }

  /** The lowest sequence of all pending writes. */
  get oldest(): number | undefined {
    let oldest = Infinity;
    for (const { held } of this.#lanes.values()) oldest = Math.min(oldest, (held[0] as Held).write.sequence);
    return oldest === Infinity ? undefined : oldest;
  }

  #append(write: QueuedWrite, known: Lane | undefined): Held {
    this.#size += 1;
    if (known !== undefined) {
      const held: Held = {
        write,
        stored: undefined,
        restored: undefined,
        done: false,
        triedSince: undefined,
        lane: known,
      };
      known.held.push(held);
      return held;
    }
    const lane: Lane = { key: write.key, held: [], busy: false, failures: 0, notBefore: 0, alone: false };
    const held: Held = { write, stored: undefined, restored: undefined, done: false, triedSince: undefined, lane };
    // Most lanes never hold a second write; `push` would give the array room for many.
    lane.held = [held];
    this.#lanes.set(write.key, lane);
    return held;
  }

  #merged(pending: QueuedWrite, key: string, incoming: unknown): unknown {
    if (this.#merge === undefined || pending.kind === 'delete') return incoming;
    // `merge` may change what it is given, and keep what it returns.
    const merged: unknown = this.#merge(copyOf('value', pending.value) as never, incoming as never, key);
    if (merged === undefined || isThenable(merged)) throw misuse('result of merge', 'a value', merged);
    return copyOf('result of merge', merged);
  }
}

/** Whether no sink can have seen the write, so that it may still change. */
function isOpen({ write, done }: Held): boolean {
  return write.attempts === 0 && !done;
}

function withCall(calls: readonly string[] | undefined, call: string | undefined): readonly string[] | undefined {
  return call === undefined ? calls : [...(calls ?? []).slice(1 - MOST_CALLS), call];
}

function last(lane: Lane): Held {
  return lane.held[lane.held.length - 1] as Held;
}

/** Marks the lanes of `batch` busy, and sorts it in the order in which its writes were accepted. */
function started(batch: Held[]): Held[] {
  for (const { lane } of batch) lane.busy = true;
  return batch.sort((a, b) => a.write.sequence - b.write.sequence);
}
