import type { Taken } from '../ports.js';

/** How writes get to the upstream, at once or later. */
export interface WriteSource<V> {
  /** Writes `value`, and gives what there is for the key by then, if that is known to be something else. */
  readonly through: (
    key: string,
    value: V | undefined,
    options: { readonly signal: AbortSignal },
  ) => Promise<Taken<V> | undefined>;
  /** Writes what `fn` makes of what is current when the write is accepted, and gives what `through` does. */
  readonly update: SourceUpdate<V> | undefined;
  /** What writes on their way will make of `key`, if there are any. */
  readonly pending: ((key: string) => Promise<Taken<V> | undefined>) | undefined;
  /**
   * Calls `changed` for each key of which pending writes will make something else than `through` was told, until the returned
   * function is called. `restored`: they did so before this process began, or in another one.
   */
  readonly watch: (changed: (key: string, restored: boolean) => void) => () => void;
}

export type SourceUpdate<V> = (
  key: string,
  fn: (current: V | undefined) => V,
  options: { readonly signal: AbortSignal; readonly current: () => Promise<V | undefined> },
) => Promise<Taken<V> | undefined>;
