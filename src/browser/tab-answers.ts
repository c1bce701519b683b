import { toFailure } from './tab-failures.js';
import type { Answer } from './tab-messages.js';

/** A call of another tab that this one was asked to make. */
interface Made {
  readonly answer: Promise<Answer>;
  /** Ends the call's wait for room. */
  readonly cancel: () => void;
}

/** The calls of one tab. */
interface Tab {
  readonly made: Map<number, Made>;
  /** The tab has the answers to calls with lower numbers. */
  since: number;
}

/** So many tabs may have left answers behind: those of a tab go when it asks again, and a tab that has gone does not. */
const MOST_TABS = 1_000;

/**
 * The answers of the leading tab, so that a call that comes again is not made again: one that crossed with the news of the
 * lead, or that the tab that led before has accepted.
 *
 * Kept until the tab that asked says that it has them, however many they are.
 */
export class Answers {
  readonly #tabs = new Map<string, Tab>();

  /** The answer to the call `id`; `make` makes it unless that was done. Nothing if its tab has had the answer. */
  to(id: string, make: (signal: AbortSignal) => Promise<unknown>): Promise<Answer> | undefined {
    const [tab, number] = this.#tabOf(id);
    if (number < tab.since) return undefined;
    const known = tab.made.get(number);
    if (known !== undefined) return known.answer;
    const controller = new AbortController();
    const answer = answerTo(id, make(controller.signal));
    tab.made.set(number, { answer, cancel: () => controller.abort() });
    return answer;
  }

  /** Ends the call `id` where that is possible, or sees to it that it is never made. */
  cancel(id: string): Promise<Answer> | undefined {
    const [tab, number] = this.#tabOf(id);
    tab.made.get(number)?.cancel();
    return this.to(id, () => Promise.reject(new DOMException('The call was cancelled', 'AbortError')));
  }

  /** Notes that the tab that led before has accepted the call `id`. */
  accepted(id: string): void {
    void this.to(id, async () => undefined);
  }

  /** Forgets the answers to calls of the tab of `id` with numbers below `since`, which don't come again. */
  forget(id: string, since: number): void {
    const [tab] = this.#tabOf(id);
    tab.since = Math.max(tab.since, since);
    for (const number of tab.made.keys()) {
      if (number >= since) return;
      tab.made.delete(number);
    }
  }

  /** Resolves when all calls are over. */
  async settled(): Promise<void> {
    for (const { made } of this.#tabs.values()) await Promise.all([...made.values()].map(({ answer }) => answer));
  }

  #tabOf(id: string): readonly [tab: Tab, number: number] {
    const [name, number] = partsOf(id);
    const tab = this.#tabs.get(name) ?? { made: new Map<number, Made>(), since: 0 };
    this.#tabs.delete(name);
    this.#tabs.set(name, tab);
    for (const oldest of this.#tabs.keys()) {
      if (this.#tabs.size <= MOST_TABS) break;
      this.#tabs.delete(oldest);
    }
    return [tab, number];
  }
}

/** The tab and the number in the id of a call. */
function partsOf(id: string): readonly [tab: string, number: number] {
  const end = id.lastIndexOf('-');
  return [id.slice(0, Math.max(0, end)), Number(id.slice(end + 1)) || 0];
}

async function answerTo(id: string, result: Promise<unknown>): Promise<Answer> {
  try {
    return { kind: 'answer', id, result: await result };
  } catch (error) {
    return { kind: 'answer', id, failure: toFailure(error) };
  }
}
