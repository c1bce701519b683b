import type { Load, Opened, Value } from './candidate.ts';
import { pause } from './rounds.ts';

/** An upstream that counts its calls and answers when it is told to. */
export interface GatedUpstream {
  readonly load: Load;
  /** Calls since the last `shut`. */
  readonly calls: () => number;
  /** Answers the calls that wait, and from now on at once. */
  readonly open: () => void;
  readonly shut: () => void;
}

export function valueOf(key: string): Value {
  return { id: key, title: `Post ${key}`, views: 1 };
}

export function gatedUpstream(): GatedUpstream {
  let gate = Promise.withResolvers<void>();
  let calls = 0;
  return {
    load(key) {
      calls++;
      return gate.promise.then(() => valueOf(key));
    },
    calls: () => calls,
    open: () => gate.resolve(),
    shut() {
      gate = Promise.withResolvers();
      calls = 0;
    },
  };
}

/**
 * Leaves one load of `opened` under way for good, and with it one instance of everything a flight is made of.
 *
 * When the last object of a kind dies, V8 forgets its shape and throws away the code made for it. Between two samples,
 * with nothing in flight, that would happen to every candidate that has more than a `Map` and a promise.
 */
export async function keepOneFlying(upstream: GatedUpstream, { read }: Opened): Promise<void> {
  upstream.shut();
  // A bounded cache may evict it, and then fail it.
  Promise.resolve(read('kept flying')).catch(() => {});
  // Some candidates call the upstream only after a look into their storage.
  await pause(10);
  if (upstream.calls() !== 1) throw new Error('The load did not start');
}

/** An upstream whose answers come one by one, each in a callback of its own, as answers of a network do. */
export function distantUpstream(key: string): Promise<Value> {
  return new Promise((resolve) => setImmediate(resolve, valueOf(key)));
}

/** Draws `count` of `keys`, most of the time one of the first. */
export function zipf(keys: readonly string[], count: number, exponent = 0.99): string[] {
  const cumulative = new Float64Array(keys.length);
  let total = 0;
  for (let rank = 0; rank < keys.length; rank++) cumulative[rank] = total += 1 / (rank + 1) ** exponent;
  return Array.from({ length: count }, () => {
    const drawn = Math.random() * total;
    let low = 0;
    let high = keys.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((cumulative[middle] as number) < drawn) low = middle + 1;
      else high = middle;
    }
    return keys[low] as string;
  });
}
