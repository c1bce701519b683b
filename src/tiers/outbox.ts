import { ignore } from '../base/promises.js';
import { expiredAt, type Entry } from '../entry.js';
import type { Intent, OutboxOptions, OutboxPort, WriteOutcome } from '../ports.js';

/** A write that was not even tried. */
export const REFUSED: WriteOutcome = Object.freeze({ done: false, held: false, late: undefined });

/** A key of which storage is not known to hold what it is to hold. */
interface Slot {
  /** The latest wish. It is what reads go by. */
  intent: Intent;
  /** The writes under way, one at a time: the latest wish follows, without those in between. */
  writing: Promise<void> | undefined;
  /** Writes that missed their deadline and are not over. Each may still overwrite what is written meanwhile. */
  late: number;
  /** Those who wait for the next write. */
  waiting: ((outcome: WriteOutcome) => void)[];
}

export const MOST_KEPT = 10_000;
/** Kept ones, and ones under way. */
export const MOST_SLOTS: number = 2 * MOST_KEPT;
export const REPLAY_PAUSE = 1_000;
const REPLAY_AT_ONCE = 32;

/**
 * {@link OutboxPort} of one I/O context.
 *
 * A key has a slot from the first wish until storage is sure to hold the latest one: a write confirmed it, and no
 * earlier write can still land after that one. Refused wishes that have to reach storage are kept for a replay.
 */
export class Outbox implements OutboxPort {
  readonly #options: OutboxOptions;
  readonly #slots = new Map<string, Slot>();
  /** Keys whose slot waits for the replay, the one refused longest ago first. */
  readonly #kept = new Set<string>();
  #replayAt = 0;
  #replaying: Promise<void> | undefined;
  /** Entries whose load started no later than this are not trusted: more invalidations were lost than could be kept. */
  #distrustUntil = -Infinity;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  get kept(): number {
    return this.#kept.size;
  }

  intentFor(key: string): Intent | undefined {
    return this.#slots.get(key)?.intent;
  }

  corrected(key: string, entry: Entry | undefined, before: Intent | undefined): Entry | undefined {
    return correct(this.intentFor(key) ?? before, entry, this.#distrustUntil);
  }

  intend(key: string, wish: Intent): Promise<WriteOutcome> {
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      if (this.#slots.size >= MOST_SLOTS) {
        // Storage hangs. A result worth only a try is let go; anything else no longer fits in by single keys.
        if (!wish.keep) return Promise.resolve(REFUSED);
        this.#distrustEverything();
      }
      slot = { intent: wish, writing: undefined, late: 0, waiting: [] };
      this.#slots.set(key, slot);
    } else {
      slot.intent = merged(slot.intent, wish);
    }
    const outcome = this.#nextOutcome(slot);
    if (slot.writing === undefined) void this.#start(key, slot);
    return outcome;
  }

  replaySoon(): void {
    const { clock, background } = this.#options;
    if (this.#kept.size === 0 || this.#replaying !== undefined || clock.monotonic() < this.#replayAt) return;
    background(this.replay());
  }

  replay(): Promise<void> {
    return (this.#replaying ??= this.#replayKept().finally(() => {
      this.#replaying = undefined;
    }));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#slots.values()].map(({ writing }) => writing));
    await this.replay();
    this.#slots.clear();
    this.#kept.clear();
  }

  async #replayKept(): Promise<void> {
    const keys = [...this.#kept];
    // The first one finds out whether the others are worth a try.
    let batch = keys.splice(0, 1);
    while (batch.length > 0) {
      const outcomes = await Promise.all(batch.map((key) => this.#replayOne(key)));
      if (!outcomes.some(({ done }) => done)) return;
      batch = keys.splice(0, REPLAY_AT_ONCE);
    }
  }

  #replayOne(key: string): Promise<WriteOutcome> {
    const slot = this.#slots.get(key);
    // A newer wish for the key is written by itself.
    if (slot === undefined || slot.writing !== undefined) return Promise.resolve(REFUSED);
    const outcome = this.#nextOutcome(slot);
    void this.#start(key, slot, true);
    return outcome;
  }

  #nextOutcome(slot: Slot): Promise<WriteOutcome> {
    const { clock, writeTimeout } = this.#options;
    const { waiting } = slot;
    return new Promise((resolve) => {
      const tell = (outcome: WriteOutcome): void => {
        cancel();
        resolve(outcome);
      };
      const cancel = clock.after(writeTimeout, () => tell(REFUSED));
      waiting.push(tell);
    });
  }

  #start(key: string, slot: Slot, replay = false): Promise<void> {
    this.#kept.delete(key);
    return (slot.writing = this.#write(key, slot, replay));
  }

  /** Writes what `slot` intends, again whenever that has changed meanwhile, until storage has it or refuses. */
  async #write(key: string, slot: Slot, replay: boolean): Promise<void> {
    const isCurrent = (): boolean => this.#slots.get(key) === slot;
    for (;;) {
      const { intent } = slot;
      await (intent.kind === 'put' ? intent.after?.catch(ignore) : undefined);
      if (!isCurrent()) break;
      if (slot.intent !== intent) continue;

      const { waiting } = slot;
      slot.waiting = [];
      const alone = slot.late === 0;
      const outcome = await this.#options.write(key, intent, {
        replay,
        wanted: () => isCurrent() && slot.intent === intent,
      });
      if (outcome.late !== undefined) this.#awaitLate(key, slot, outcome.late);
      for (const tell of waiting) tell(outcome);
      if (!isCurrent()) break;
      if (slot.intent !== intent) continue;
      if (!outcome.done) this.#refuse(key, slot);
      // A late write landed meanwhile, and nobody knows in which order: once more.
      else if (slot.late === 0 && !alone) continue;
      else if (slot.late === 0) this.#slots.delete(key);
      break;
    }
    slot.writing = undefined;
  }

  #awaitLate(key: string, slot: Slot, late: Promise<unknown>): void {
    slot.late += 1;
    const over = (): void => {
      slot.late -= 1;
      // It may have come after what was written since. Where something is still to be written, that sees to it.
      if (slot.late === 0 && slot.writing === undefined && !this.#kept.has(key)) {
        this.#options.background(this.#start(key, slot));
      }
    };
    late.then(over, over);
  }

  /** Keeps for a replay what must reach storage, and drops what was only worth a try. */
  #refuse(key: string, slot: Slot): void {
    if (!slot.intent.keep) {
      if (slot.late === 0) this.#slots.delete(key);
      return;
    }
    slot.intent = refused(slot.intent);
    this.#kept.add(key);
    this.#pauseReplay();
    if (this.#kept.size > MOST_KEPT) this.#distrustEverything();
  }

  #pauseReplay(): void {
    this.#replayAt = this.#options.clock.monotonic() + REPLAY_PAUSE;
  }

  /** Gives up remembering single keys: from now on nothing stored before this moment is believed. */
  #distrustEverything(): void {
    this.#distrustUntil = this.#options.clock.now();
    this.#slots.clear();
    this.#kept.clear();
  }
}

/** What a read is to find where storage answered `entry`. What was loaded until `distrustUntil` is not believed. */
export function correct(
  intent: Intent | undefined,
  entry: Entry | undefined,
  distrustUntil: number,
): Entry | undefined {
  if (intent?.kind === 'remove') return undefined;
  if (intent?.kind === 'put') return intent.entry;
  if (entry === undefined || entry.startedAt <= distrustUntil) return undefined;
  return intent === undefined ? entry : expiredAt(entry, intent.at);
}

/** What storage is to hold in the end where it refused `intent`: no value that another was to replace. */
export function refused(intent: Intent): Intent {
  return intent.kind === 'put' && intent.marker !== true ? { kind: 'remove', keep: true } : intent;
}

/** What storage is to hold when `wish` follows `pending`, which has not been confirmed. */
export function merged(pending: Intent, wish: Intent): Intent {
  if (wish.kind === 'put') return { ...wish, keep: wish.keep || pending.keep };
  if (wish.kind === 'remove' || pending.kind === 'remove') return { kind: 'remove', keep: true };
  if (pending.kind === 'put') return { ...pending, entry: expiredAt(pending.entry, wish.at), keep: true };
  return { kind: 'expire', at: Math.min(pending.at, wish.at), keep: true };
}
