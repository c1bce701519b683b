import { describeOperation, GAP, type History, type Operation, type Verdict } from './history.js';

/** What {@link checkFreshness} holds reads to. */
export interface FreshnessOptions {
  /**
   * So many milliseconds after a change was acknowledged, reads in other processes are bound by it, too. Reads from storage
   * always are, at once. `Infinity` leaves out everything that crosses processes.
   * @default Infinity
   */
  readonly backplaneDelay?: number;
  /**
   * A change that met a disturbance binds other processes no earlier than so many milliseconds after the end of that.
   * @default disturbances excuse nothing
   */
  readonly recovery?: number;
  /** How long after the source had moved on a read may show a value, by its status. @default no limit */
  readonly windows?: { readonly [Status in 'hit' | 'stale' | 'miss' | 'fallback']?: number };
}

/** A change that was acknowledged: from `from` on, reads show at least `floor`. */
interface Promised {
  readonly change: Operation;
  readonly floor: number;
}

const CHANGES: readonly string[] = ['invalidate', 'set', 'update', 'tags', 'clear', 'expire'];

/**
 * Checks what a cache promises: a read shows nothing older than what an acknowledged change demands, nothing that was not
 * written yet, and nothing beyond its windows.
 *
 * In the process of an `invalidate`, `tags`, `clear` or `set`, every read that is called after it was called is bound;
 * an `expire` binds those that claim to be hits; a `refresh` itself brings a version no older than its call.
 * A value that a concurrent `set` put is never too old.
 */
export function checkFreshness(history: History, options: FreshnessOptions = {}): Verdict {
  const reads = history.operations.filter(({ reading }) => reading !== undefined);
  const keys = new Set(reads.flatMap((operation) => operation.keys ?? []));
  for (const key of keys) {
    const verdict = new KeyCheck(key, history, options).verdict();
    if (!verdict.ok) return verdict;
  }
  return { ok: true };
}

/** The check of one key. */
class KeyCheck {
  readonly #key: string;
  readonly #history: History;
  readonly #options: FreshnessOptions;
  readonly #concerned: readonly Operation[];
  /** In the order in which they were written. */
  readonly #writes: readonly Operation[];
  readonly #promises: readonly Promised[];

  constructor(key: string, history: History, options: FreshnessOptions) {
    this.#key = key;
    this.#history = history;
    this.#options = options;
    this.#concerned = history.operations.filter(({ keys }) => keys?.includes(key) ?? true);
    this.#writes = this.#concerned.filter(({ kind }) => kind === 'source-write');
    this.#promises = this.#concerned
      .filter(({ kind }) => CHANGES.includes(kind))
      .map((change) => this.#promise(change));
  }

  verdict(): Verdict {
    for (const read of this.#concerned) {
      if (read.reading?.version === undefined) continue;
      const verdict = this.#check(read, read.reading.version);
      if (!verdict.ok) return verdict;
    }
    return { ok: true };
  }

  #check(read: Operation, version: number): Verdict {
    const { status } = read.reading!;
    const isFallback = status === 'fallback';
    if (version > 1 && this.#sourceAt(read.end!) < version && !this.#wasSet(version, read.end!))
      return this.#violation(read, this.#writes.at(-1) ?? read, `nothing had written ${version} yet`);
    if (read.kind === 'refresh' && !isFallback && version < this.#sourceAt(read.begin)) {
      const newest = this.#writes.findLast(({ begin }) => begin < read.begin)!;
      return this.#violation(read, newest, `the refresh was called when ${this.#sourceAt(read.begin)} was there`);
    }
    const broken = this.#promises.find(
      (promised) => version < promised.floor && this.#binds(promised, read) && !this.#isExcused(version, promised),
    );
    if (broken !== undefined)
      return this.#violation(read, broken.change, `${version} is older than ${broken.floor}, which was promised`);
    return this.#checkAge(read, version);
  }

  /** A value may be shown so long after the source had a newer one. */
  #checkAge(read: Operation, version: number): Verdict {
    const window = this.#options.windows?.[read.reading!.status ?? 'hit'] ?? Infinity;
    const successor = this.#writes.find(({ input }) => (input as number) > version);
    if (successor === undefined || read.calledAt - successor.calledAt <= window) return { ok: true };
    const age = read.calledAt - successor.calledAt;
    return this.#violation(read, successor, `${version} was replaced ${age} ms before, and the window is ${window}`);
  }

  #promise(change: Operation): Promised {
    const set = change.kind === 'set' || change.kind === 'update' ? change.input : undefined;
    const floor = typeof set === 'number' ? set : this.#sourceAt(change.begin);
    return { change, floor };
  }

  #binds({ change }: Promised, read: Operation): boolean {
    const { status, tier } = read.reading!;
    if (change.kind === 'expire' && status !== 'hit') return false;
    if (change.begin >= read.begin) return false;
    if (change.process === read.process) return change.error === undefined;
    if (change.end === undefined || change.error !== undefined || change.end >= read.begin) return false;
    const isFromStorage = tier !== undefined && tier !== 'memory' && tier !== 'upstream';
    const { backplaneDelay = Infinity } = this.#options;
    if (backplaneDelay === Infinity || this.#isDoubted(change, read)) return false;
    // Whoever reads storage depends on nobody but the one who changed it.
    if (isFromStorage) return read.calledAt >= this.#acknowledgedAt(change, [change.process]);
    return read.calledAt >= this.#acknowledgedAt(change, [change.process, read.process]) + backplaneDelay;
  }

  /** Whether `read` says that its value is stale because messages were lost that may have been about `change`. */
  #isDoubted(change: Operation, { process, reading, calledAt }: Operation): boolean {
    if (reading!.status !== 'stale' || reading!.tier !== 'memory') return false;
    return this.#history.disturbances.some(
      (it) => it.what === GAP && it.process === process && it.until >= change.calledAt && it.from <= calledAt,
    );
  }

  /** When `change` was acknowledged and nothing keeps it from reaching others, as far as it depends on `processes`. */
  #acknowledgedAt(change: Operation, processes: readonly string[]): number {
    const { backplaneDelay = 0, recovery } = this.#options;
    let instant = change.returnedAt ?? Infinity;
    if (recovery === undefined) return instant;
    for (const { process, what, from, until } of this.#history.disturbances) {
      if (process !== undefined && !processes.includes(process)) continue;
      const meets = what !== GAP && from <= instant + backplaneDelay && until + recovery >= change.calledAt;
      if (meets) instant = Math.max(instant, until + recovery);
    }
    return instant;
  }

  /** Whether `version` was set by someone whose set may count as later than the change. */
  #isExcused(version: number, { change }: Promised): boolean {
    return this.#concerned.some(
      (other) =>
        other !== change &&
        (other.kind === 'set' || other.kind === 'update') &&
        other.input === version &&
        (other.end === undefined || other.end > change.begin),
    );
  }

  #wasSet(version: number, before: number): boolean {
    return this.#concerned.some(({ kind, input, begin }) => kind === 'set' && input === version && begin < before);
  }

  /** The version of the source at a place in the order of events. */
  #sourceAt(order: number): number {
    let [low, high] = [0, this.#writes.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#writes[middle]!.begin < order) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? 1 : (this.#writes[low - 1]!.input as number);
  }

  #violation(read: Operation, cause: Operation, why: string): Verdict {
    const message = `Of ${JSON.stringify(this.#key)}, ${why}:\n  ${describeOperation(cause)}\n  ${describeOperation(read)}`;
    return { ok: false, key: this.#key, message, events: [cause, read] };
  }
}
