import { Gate } from '../base/gate.js';
import { ignore } from '../base/promises.js';
import { expiredAt, type Entry } from '../entry.js';
import type { Intent, OutboxOptions, OutboxPort, WriteOutcome } from '../ports.js';
import { instantOf, joined } from './markers.js';

/** A write that was not even tried. */
export const REFUSED: WriteOutcome = Object.freeze({ done: false, held: false, late: undefined });

type Put = Intent & { readonly kind: 'put' };

/** A key of which storage is not known to hold what it is to hold. */
interface Slot {
  /** The latest wish. It is what reads go by. */
  intent: Intent;
  /** The writes under way, one at a time: the latest wish follows, without those in between. */
  writing: Promise<void> | undefined;
  /** An intent that reads don't go by. */
  hidden: Intent | undefined;
  /** Writes that missed their deadline and are not over. Each may still overwrite what is written meanwhile. */
  late: number;
  /** Those who wait for the next write. */
  waiting: Waiter[];
  /** Called when storage has at last what it missed. */
  later: (() => void)[];
  /** Whether somebody was told that storage missed a write. */
  missed: boolean;
}

/** A caller that waits for a write. */
interface Waiter {
  /** Monotonic instant of its call. */
  readonly since: number;
  readonly slot: Slot;
  readonly resolve: (outcome: WriteOutcome) => void;
}

/** Keys that storage missed a change of, at most. Beyond that, everything stored before counts as changed. */
export const MOST_KEPT = 100_000;
/** Keys under way from which on a loaded entry is not added: it can be loaded again. */
const MOST_TRIED = 20_000;
export const REPLAY_PAUSE = 1_000;
/** Writes under way at once. The others wait: a bound on what is under way, none on how many may be asked for. */
const AT_ONCE = 512;
const REPLAY_AT_ONCE = 32;

/**
 * {@link OutboxPort} of one I/O context.
 *
 * A key has a slot from the first wish until storage is sure to hold the latest one: a write confirmed it, and no
 * earlier write can still land after that one. Refused wishes that have to reach storage are kept for a replay, which a timer
 * starts, whether or not anybody reads.
 */
export class Outbox implements OutboxPort {
  readonly #options: OutboxOptions;
  readonly #slots = new Map<string, Slot>();
  /** Keys whose slot waits for the replay, the one refused longest ago first. */
  readonly #kept = new Set<string>();
  readonly #gate = new Gate(AT_ONCE);
  /** Callers that wait, in the order in which they came. */
  readonly #waiters = new Set<Waiter>();
  /** Monotonic instant at which storage last took something: those who wait for room wait on as long as it takes more. */
  #progressAt = 0;
  #cancelDeadline: (() => void) | undefined;
  #cancelReplay: (() => void) | undefined;
  #replayAt = 0;
  #replaying: Promise<void> | undefined;
  #closed = false;
  /** Entries whose load started no later than this are not trusted: more invalidations were lost than could be kept. */
  #distrustUntil = -Infinity;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  get kept(): number {
    return this.#kept.size;
  }

  intentFor(key: string): Intent | undefined {
    const slot = this.#slots.get(key);
    return slot === undefined || slot.intent === slot.hidden ? undefined : slot.intent;
  }

  written(key: string): Promise<void> {
    return this.#slots.get(key)?.writing ?? Promise.resolve();
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
    let slot = this.#slots.get(key);
    if (slot === undefined) {
      if (this.#isFull(wish)) return Promise.resolve(REFUSED);
      slot = { intent: wish, hidden: undefined, writing: undefined, late: 0, waiting: [], later: [], missed: false };
      this.#slots.set(key, slot);
    } else {
      const isHidden = slot.hidden === slot.intent;
      slot.intent = merged(slot.intent, wish);
      // It is still the same entry.
      if (isHidden && wish.kind === 'expire') slot.hidden = slot.intent;
    }
    if (later !== undefined) slot.later.push(later);
    const outcome = this.#nextOutcome(slot);
    if (slot.writing === undefined) void this.#start(key, slot);
    return outcome;
  }

  /** Whether `wish` is worth only a try, and too many wait already. Gives up single keys where storage takes none of very many. */
  #isFull({ keep }: Intent): boolean {
    if (this.#slots.size === 0) this.#progressAt = this.#options.clock.monotonic();
    if (this.#slots.size >= MOST_TRIED && !keep) return true;
    if (this.#slots.size >= MOST_KEPT && this.#isSilent()) this.#distrustEverything();
    return false;
  }

  /** Whether storage has taken nothing for as long as a write may take. */
  #isSilent(): boolean {
    return this.#options.clock.monotonic() - this.#progressAt >= this.#options.writeTimeout;
  }

  distrust(): void {
    this.#distrustUntil = this.#options.clock.now();
  }

  replaySoon(): void {
    if (this.#kept.size === 0 || this.#replaying !== undefined) return;
    if (this.#options.clock.monotonic() >= this.#replayAt) this.#options.background(this.replay());
  }

  replay(): Promise<void> {
    return (this.#replaying ??= this.#replayKept().finally(() => {
      this.#replaying = undefined;
      this.#replayLater();
    }));
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelReplay?.();
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

  /** How the next write of `slot` goes, or that it did not: storage has taken nothing for as long as a write may take. */
  #nextOutcome(slot: Slot): Promise<WriteOutcome> {
    return new Promise((resolve) => {
      const waiter: Waiter = { since: this.#options.clock.monotonic(), slot, resolve };
      slot.waiting.push(waiter);
      this.#waiters.add(waiter);
      this.#cancelDeadline ??= this.#options.clock.after(this.#options.writeTimeout, () => this.#letGo());
    });
  }

  #tell(waiting: readonly Waiter[], outcome: WriteOutcome): void {
    for (const waiter of waiting) {
      this.#waiters.delete(waiter);
      waiter.resolve(outcome);
    }
    if (this.#waiters.size > 0) return;
    this.#cancelDeadline?.();
    this.#cancelDeadline = undefined;
  }

  /** Lets those go whose deadline is over, and comes back for the next. */
  #letGo(): void {
    const { clock, writeTimeout } = this.#options;
    const now = clock.monotonic();
    for (const waiter of this.#waiters) {
      const left = Math.max(waiter.since, this.#progressAt) + writeTimeout - now;
      if (left > 0) {
        this.#cancelDeadline = clock.after(left, () => this.#letGo());
        return;
      }
      this.#waiters.delete(waiter);
      waiter.slot.missed = true;
      waiter.resolve(REFUSED);
    }
    this.#cancelDeadline = undefined;
  }

  #start(key: string, slot: Slot, replay = false): Promise<void> {
    this.#kept.delete(key);
    return (slot.writing = this.#gate.run(() => this.#write(key, slot, replay)));
  }

  /** Writes what `slot` intends, again whenever that has changed meanwhile, until storage has it or refuses. */
  async #write(key: string, slot: Slot, replay: boolean): Promise<void> {
    const isCurrent = (): boolean => this.#slots.get(key) === slot;
    for (;;) {
      const { intent } = slot;
      await (intent.kind === 'put' ? intent.after?.catch(ignore) : undefined);
      if (!isCurrent()) break;
      if (slot.intent !== intent) continue;
      // However many wait, those who close it wait for no more than one round of writes that hang.
      if (this.#closed && this.#isSilent()) break;

      const { waiting } = slot;
      slot.waiting = [];
      const alone = slot.late === 0;
      const outcome = await this.#options.write(key, intent, {
        replay,
        wanted: () => isCurrent() && slot.intent === intent,
      });
      if (outcome.done) this.#progressAt = this.#options.clock.monotonic();
      else slot.missed = true;
      if (outcome.late !== undefined) this.#awaitLate(key, slot, outcome.late);
      this.#tell(waiting, outcome);
      if (!isCurrent()) break;
      if (slot.intent !== intent) continue;
      if (!outcome.done) this.#refuse(key, slot);
      // A late write landed meanwhile, and nobody knows in which order: once more.
      else if (slot.late === 0 && !alone) continue;
      else this.#taken(key, slot);
      break;
    }
    slot.writing = undefined;
  }

  /** Storage holds what `slot` intends, as far as no late write may still change that. */
  #taken(key: string, slot: Slot): void {
    if (slot.late === 0) this.#slots.delete(key);
    const { later, missed } = slot;
    slot.later = [];
    slot.missed = false;
    if (missed) for (const tell of later) tell();
    if (this.#kept.size > 0) this.replaySoon();
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
    this.#options.missed?.(key);
    this.#replayAt = this.#options.clock.monotonic() + REPLAY_PAUSE;
    this.#replayLater();
    if (this.#kept.size > MOST_KEPT) this.#distrustEverything();
  }

  #replayLater(): void {
    if (this.#kept.size === 0 || this.#closed || this.#cancelReplay !== undefined) return;
    this.#cancelReplay = this.#options.clock.after(REPLAY_PAUSE, () => {
      this.#cancelReplay = undefined;
      this.#options.background(this.replay());
    });
  }

  /** Gives up remembering single keys: from now on nothing stored before this moment is believed. */
  #distrustEverything(): void {
    this.distrust();
    this.#slots.clear();
    this.#kept.clear();
    this.#options.overflown?.();
  }
}

/** What a read is to find where storage answered `entry`. What was loaded until `distrustUntil` is not believed. */
export function correct(
  intent: Intent | undefined,
  entry: Entry | undefined,
  distrustUntil: number,
): Entry | undefined {
  if (intent?.kind === 'remove') return undefined;
  if (intent?.kind === 'put' && isPart(intent)) return joined(entry, intent.entry, true);
  // What a load has brought may come too late, and then what storage answered stands.
  if (intent?.kind === 'put' && (intent.keep || intent.condition === undefined)) return intent.entry;
  if (entry === undefined || entry.startedAt <= distrustUntil) return undefined;
  return intent?.kind === 'expire' ? expiredAt(entry, intent.at) : entry;
}

/** Whether `intent` is a marker that says nothing of what is there: a prefix in the marker of a clear. */
export function isPart(intent: Put): boolean {
  return intent.joins === true && instantOf(intent.entry) === -Infinity;
}

/** What storage is to hold in the end where it refused `intent`: no value that another was to replace. */
export function refused(intent: Intent): Intent {
  return intent.kind === 'put' && intent.marker !== true ? { kind: 'remove', keep: true } : intent;
}

/** What storage is to hold when `wish` follows `pending`, which has not been confirmed. */
export function merged(pending: Intent, wish: Intent): Intent {
  if (wish.kind === 'put') {
    const joins = wish.joins === true && pending.kind === 'put' && pending.joins === true;
    const entry = joins ? joined(pending.entry, wish.entry) : wish.entry;
    return { ...wish, entry, keep: wish.keep || pending.keep };
  }
  if (wish.kind === 'remove' || pending.kind === 'remove') return { kind: 'remove', keep: true };
  if (pending.kind === 'put') return { ...pending, entry: expiredAt(pending.entry, wish.at), keep: true };
  return { kind: 'expire', at: Math.min(pending.at, wish.at), keep: true };
}
