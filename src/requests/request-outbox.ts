import { ignore } from '../base/promises.js';
import { withDeadline } from '../base/race.js';
import type { Entry } from '../entry.js';
import type { Intent, OutboxOptions, OutboxPort, WriteOutcome } from '../ports.js';
import { correct, merged, MOST_KEPT, REFUSED, refused, REPLAY_PAUSE } from '../tiers/outbox.js';

/** A key of which storage is not known to hold what it is to hold. */
interface Slot {
  intent: Intent;
  /** An intent that reads don't go by. */
  hidden: Intent | undefined;
  /** The intent that storage took last, and how that went. */
  written: { readonly intent: Intent; readonly outcome: WriteOutcome } | undefined;
  /** The write that goes last. It belongs to the request that makes it. */
  last: Promise<WriteOutcome> | undefined;
  /** Writes that missed their deadline and are not over. Each may still overwrite what is written meanwhile. */
  late: number;
  /** Monotonic instant at which all writes count as over, whether or not anybody is left to say so. */
  until: number;
  /** Called when storage has at last what it missed, by the request that brought it there. */
  later: (() => void)[];
  /** Whether somebody was told that storage missed a write. */
  missed: boolean;
}

/** The circumstances of one write. */
interface Turn {
  readonly before: Promise<WriteOutcome> | undefined;
  /** Milliseconds after which that one counts as over. */
  readonly patience: number;
  readonly after: Promise<unknown> | undefined;
  readonly replay: boolean;
  readonly isLast: () => boolean;
}

/** Kept ones, and ones under way. */
const MOST_SLOTS = 2 * MOST_KEPT;
/** Slots looked at in passing, for those whose request is gone. */
const LOOKS = 8;
const REPLAY_AT_ONCE = 32;
/** What one write is taken to last at most where the cache sets no limit, milliseconds. */
const LONGEST_WRITE = 60_000;

/**
 * {@link OutboxPort} where requests share nothing but data.
 *
 * Each request makes its own writes, in turn: the next one waits for the one before with its own timer, and no longer
 * than that may take. So a request that ends holds up nobody, and what it leaves behind is found by the clock. Only a
 * write that is still on its way to storage when its request ends may land after a later one.
 */
export class RequestOutbox implements OutboxPort {
  readonly #options: OutboxOptions;
  /** Those touched longest ago come first. */
  readonly #slots = new Map<string, Slot>();
  readonly #kept = new Set<string>();
  readonly #longest: number;
  #replayAt = 0;
  #distrustUntil = -Infinity;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#longest = 2 * Math.min(options.writeTimeout, LONGEST_WRITE);
  }

  get kept(): number {
    this.#collect();
    return this.#kept.size;
  }

  intentFor(key: string): Intent | undefined {
    const slot = this.#slots.get(key);
    if (slot !== undefined && this.#isLeft(key, slot)) this.#takeOver(key, slot);
    const left = this.#slots.get(key);
    return left === undefined || left.intent === left.hidden ? undefined : left.intent;
  }

  async written(key: string): Promise<void> {
    await this.#slots.get(key)?.last;
  }

  lacks(key: string): boolean {
    return this.#slots.get(key)?.missed === true;
  }

  hide(key: string): void {
    const slot = this.#slots.get(key);
    if (slot?.intent.kind === 'put') slot.hidden = slot.intent;
  }

  corrected(key: string, entry: Entry | undefined, before: Intent | undefined): Entry | undefined {
    return correct(this.intentFor(key) ?? before, entry, this.#distrustUntil);
  }

  intend(key: string, wish: Intent, later?: () => void): Promise<WriteOutcome> {
    this.#collect();
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      if (this.#slots.size >= MOST_SLOTS) {
        // Storage hangs. A result worth only a try is let go; anything else no longer fits in by single keys.
        if (!wish.keep) return Promise.resolve(REFUSED);
        this.#distrustEverything();
      }
      slot = newSlot(wish);
      this.#slots.set(key, slot);
    } else {
      const isHidden = slot.hidden === slot.intent;
      slot.intent = merged(slot.intent, wish);
      // It is still the same entry.
      if (isHidden && wish.kind === 'expire') slot.hidden = slot.intent;
    }
    if (later !== undefined) slot.later.push(later);
    return this.#outcomeFor(key, slot, wish);
  }

  /** How the write of `wish` goes, or that its caller waits no longer. */
  #outcomeFor(key: string, slot: Slot, wish: Intent): Promise<WriteOutcome> {
    const { clock, writeTimeout, background } = this.#options;
    const turn = this.#queue(key, slot, wish.kind === 'put' ? wish.after : undefined);
    // The caller leaves at its deadline. Its request has to stay until the write is over.
    background(turn.then(ignore));
    return withDeadline(clock, writeTimeout, turn, ignore).catch(() => {
      slot.missed = true;
      return REFUSED;
    });
  }

  distrust(): void {
    this.#distrustUntil = this.#options.clock.now();
  }

  replaySoon(): void {
    if (this.kept === 0 || this.#options.clock.monotonic() < this.#replayAt) return;
    this.#options.background(this.replay());
  }

  async replay(): Promise<void> {
    this.#pauseReplay();
    const keys = [...this.#kept];
    // The first one finds out whether the others are worth a try.
    for (let count = 1; keys.length > 0; count = REPLAY_AT_ONCE) {
      const outcomes = await Promise.all(keys.splice(0, count).map((key) => this.#replayOne(key)));
      if (!outcomes.some(({ done }) => done)) return;
    }
  }

  async close(): Promise<void> {
    const { clock } = this.#options;
    const writes = [...this.#slots.values()].map(async ({ last, until }) => {
      if (last !== undefined) await withDeadline(clock, until - clock.monotonic(), last, ignore).catch(ignore);
    });
    await Promise.all(writes);
    await this.replay();
    this.#slots.clear();
    this.#kept.clear();
  }

  #replayOne(key: string): Promise<WriteOutcome> {
    const slot = this.#slots.get(key);
    // Another request may have seen to it meanwhile.
    if (slot === undefined || !this.#kept.has(key)) return Promise.resolve(REFUSED);
    return this.#queue(key, slot, undefined, true);
  }

  /** Writes what `slot` intends, from this request, when the write before is over. */
  #queue(key: string, slot: Slot, after: Promise<unknown> | undefined, replay = false): Promise<WriteOutcome> {
    const now = this.#options.clock.monotonic();
    const before = slot.last;
    const patience = slot.until - now;
    const turn = this.#write(key, slot, { before, patience, after, replay, isLast: () => slot.last === turn });
    slot.last = turn;
    slot.until = (before === undefined ? now : Math.max(now, slot.until)) + this.#longest;
    this.#kept.delete(key);
    this.#moveBack(key, slot);
    return turn;
  }

  async #write(key: string, slot: Slot, { before, patience, after, replay, isLast }: Turn): Promise<WriteOutcome> {
    const { clock, write } = this.#options;
    const isCurrent = (): boolean => this.#slots.get(key) === slot;
    // Also gives `isLast` the time to know.
    await after?.catch(ignore);
    await (before === undefined ? undefined : withDeadline(clock, Math.max(0, patience), before, ignore).catch(ignore));
    if (!isCurrent()) return REFUSED;
    for (;;) {
      const { intent, written } = slot;
      // Whoever wrote before has seen what was wished since.
      const known = written?.intent === intent ? written.outcome : undefined;
      const alone = slot.late === 0;
      const outcome =
        known ?? (await write(key, intent, { replay, wanted: () => isCurrent() && slot.intent === intent }));
      if (outcome.done) slot.written = { intent, outcome };
      else slot.missed = true;
      if (outcome.late !== undefined) this.#awaitLate(key, slot, outcome.late);
      if (!isCurrent() || !isLast()) return outcome;
      slot.written = undefined;
      // A late write landed meanwhile, and nobody knows in which order: once more.
      if (outcome.done && !alone && slot.late === 0) continue;
      this.#settle(key, slot, outcome.done && slot.intent === intent);
      return outcome;
    }
  }

  #awaitLate(key: string, slot: Slot, late: Promise<unknown>): void {
    slot.late += 1;
    const over = (): void => {
      slot.late -= 1;
      slot.written = undefined;
      // It may have come after what was written since. Where something is still to be written, that sees to it.
      const idle = slot.late === 0 && slot.last === undefined && !this.#kept.has(key);
      if (idle && this.#slots.get(key) === slot)
        this.#options.background(this.#queue(key, slot, undefined).then(ignore));
    };
    late.then(over, over);
  }

  /** The last write is over, as far as is known. */
  #settle(key: string, slot: Slot, done: boolean): void {
    slot.last = undefined;
    if (done) tellLater(slot);
    if (done || !slot.intent.keep) {
      if (slot.late === 0) this.#slots.delete(key);
      else slot.until = this.#options.clock.monotonic() + this.#longest;
      return;
    }
    slot.intent = refused(slot.intent);
    this.#kept.add(key);
    this.#pauseReplay();
    if (this.#kept.size > MOST_KEPT) this.#distrustEverything();
  }

  /** Whether `slot` waits for a request that is gone. */
  #isLeft(key: string, slot: Slot): boolean {
    return !this.#kept.has(key) && this.#options.clock.monotonic() >= slot.until;
  }

  #takeOver(key: string, slot: Slot): void {
    const done = slot.last === undefined;
    slot.late = 0;
    this.#settle(key, slot, done);
  }

  /** Takes over what requests left behind, as far as it comes first. */
  #collect(): void {
    let looks = LOOKS;
    for (const [key, slot] of this.#slots) {
      if (looks === 0) return;
      looks -= 1;
      // What waits for a replay must not hide what came after it.
      if (this.#kept.has(key)) this.#moveBack(key, slot);
      else if (this.#isLeft(key, slot)) this.#takeOver(key, slot);
      else return;
    }
  }

  #moveBack(key: string, slot: Slot): void {
    this.#slots.delete(key);
    this.#slots.set(key, slot);
  }

  #pauseReplay(): void {
    this.#replayAt = this.#options.clock.monotonic() + REPLAY_PAUSE;
  }

  /** Gives up remembering single keys: from now on nothing stored before this moment is believed. */
  #distrustEverything(): void {
    this.distrust();
    this.#slots.clear();
    this.#kept.clear();
  }
}

function newSlot(intent: Intent): Slot {
  const idle = { hidden: undefined, written: undefined, last: undefined };
  return { ...idle, intent, late: 0, until: 0, later: [], missed: false };
}

/** Storage holds what `slot` intends. */
function tellLater(slot: Slot): void {
  const { later, missed } = slot;
  slot.later = [];
  slot.missed = false;
  if (missed) for (const tell of later) tell();
}
