import { LRUCache } from 'lru-cache';

/** Views kept although nobody else holds them, so that their statistics and listeners last between two uses. */
const RECENT = 1_000;

/** Where weak references are missing, in old Workers, views are held for good. */
interface Reference<T> {
  deref(): T | undefined;
}

/**
 * The views of a cache's namespaces: at most one per namespace at any time, since its flights are there and nowhere else.
 *
 * A view that nobody holds and that was not asked for lately is let go. One with a flight under way is held by that.
 */
export class NamespaceViews<T extends object> {
  #recent: LRUCache<string, T> | undefined;
  readonly #all = new Map<string, Reference<T>>();
  #finalization: FinalizationRegistry<string> | undefined;

  /** The view of the namespace `id`; `make` makes it. */
  get(id: string, make: () => T): T {
    let view = this.#all.get(id)?.deref();
    if (view === undefined) {
      view = make();
      this.#all.set(id, this.#refer(id, view));
    }
    this.#recent ??= new LRUCache({ max: RECENT });
    this.#recent.set(id, view);
    return view;
  }

  /** Lets go of `view`: the next one asked for is a new one. */
  forget(id: string, view: T): void {
    if (this.#all.get(id)?.deref() !== view) return;
    this.#all.delete(id);
    this.#recent?.delete(id);
  }

  /** The view of the namespace `id`, if somebody may use it. */
  find(id: string): T | undefined {
    return this.#all.get(id)?.deref();
  }

  /** Whether there is or was a view. */
  get used(): boolean {
    return this.#recent !== undefined;
  }

  /** The views that somebody may use. */
  alive(): T[] {
    return [...this.#all.values()].map((reference) => reference.deref()).filter((view) => view !== undefined);
  }

  #refer(id: string, view: T): Reference<T> {
    if (typeof WeakRef !== 'function') return { deref: () => view };
    this.#finalization ??= new FinalizationRegistry((gone) => {
      if (this.#all.get(gone)?.deref() === undefined) this.#all.delete(gone);
    });
    this.#finalization.register(view, id);
    return new WeakRef(view);
  }
}
