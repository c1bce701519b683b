/** One batch of a {@link DataLoader}. */
interface Batch<V> {
  readonly keys: string[];
  readonly settle: ((value: V) => void)[];
  /** Its keys go on together, also those that were answered before. */
  readonly known: (() => void)[];
  sent: boolean;
}

const resolved = Promise.resolve();

/**
 * The algorithm of `dataloader` 2.2.3, after its source: a batch goes in a promise job's `process.nextTick`, and keys answered
 * before resolve with the batch under way. The package itself is not needed.
 */
export class DataLoader<V> {
  readonly #load: (keys: readonly string[]) => Promise<readonly V[]>;
  readonly #max: number;
  readonly #cache = new Map<string, Promise<V>>();
  #batch: Batch<V> | undefined;

  constructor(load: (keys: readonly string[]) => Promise<readonly V[]>, max = Infinity) {
    this.#load = load;
    this.#max = max;
  }

  load(key: string): Promise<V> {
    const batch = this.#current();
    const cached = this.#cache.get(key);
    if (cached !== undefined) return new Promise((resolve) => batch.known.push(() => resolve(cached)));
    batch.keys.push(key);
    const promise = new Promise<V>((resolve) => batch.settle.push(resolve));
    this.#cache.set(key, promise);
    return promise;
  }

  #current(): Batch<V> {
    const existing = this.#batch;
    if (existing !== undefined && !existing.sent && existing.keys.length < this.#max) return existing;
    const batch: Batch<V> = { keys: [], settle: [], known: [], sent: false };
    this.#batch = batch;
    void resolved.then(() => process.nextTick(() => void this.#dispatch(batch)));
    return batch;
  }

  async #dispatch(batch: Batch<V>): Promise<void> {
    batch.sent = true;
    for (const go of batch.known) go();
    if (batch.keys.length === 0) return;
    const values = await this.#load(batch.keys);
    for (const [index, settle] of batch.settle.entries()) settle(values[index]!);
  }
}
