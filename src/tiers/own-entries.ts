import type { Entry } from '../entry.js';

/** When an entry was loaded: what it is known again by. */
type Times = Pick<Entry, 'startedAt' | 'createdAt' | 'loadMs'>;

interface Own extends Times {
  readonly epoch: number;
  /** Whether storage is known to have it. Before, an older one of the same millisecond may still be there. */
  stored: boolean;
}

const MOST_OWN = 10_000;

/** The entries of this process that clocks alone would not tell from ones older than a mark, by storage key. */
export class OwnEntries {
  readonly #entries = new Map<string, Own>();

  /** Notes that `entry` of `epoch` goes into storage; what it returns is to be told whether it arrived. */
  storing(key: string, { startedAt, createdAt, loadMs }: Times, epoch: number): (arrived: boolean) => void {
    const entries = this.#entries;
    const own: Own = { startedAt, createdAt, loadMs, epoch, stored: false };
    entries.set(key, own);
    // The one noted first goes: it is the least likely to be doubtful still.
    if (entries.size > MOST_OWN) entries.delete(entries.keys().next().value as string);
    return (arrived) => {
      // Several tiers are told of it: one that refused makes it doubtful for all.
      const known = entries.get(key);
      if (known === undefined || known.epoch !== epoch || !isSameLoad(known, own)) return;
      if (arrived) known.stored = true;
      else entries.delete(key);
    };
  }

  /** The epoch of `entry`, if it is this process's own. `pending`: it is still on its way into storage. */
  epochOf(key: string, entry: Times, pending: boolean): number | undefined {
    const own = this.#entries.get(key);
    return own !== undefined && (pending || own.stored) && isSameLoad(own, entry) ? own.epoch : undefined;
  }
}

function isSameLoad(a: Times, b: Times): boolean {
  return a.startedAt === b.startedAt && a.createdAt === b.createdAt && a.loadMs === b.loadMs;
}
