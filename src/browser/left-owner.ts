import { WebArea } from './web-area.js';

/**
 * Notes that the page of a database's owner is gone, so that the next one need not wait for the end of its lease.
 *
 * In localStorage: a page that goes starts no transaction of IndexedDB any more. Where there is none, the next one waits.
 */
export class LeftOwner {
  readonly #area = new WebArea('local', 'soloflight-left.');
  readonly #database: string;

  constructor(database: string) {
    this.#database = database;
  }

  note(owner: string): void {
    attempt(() => this.#area.set(this.#database, owner));
  }

  has(owner: string): boolean {
    return attempt(() => this.#area.get(this.#database)) === owner;
  }

  forget(owner: string): void {
    if (this.has(owner)) attempt(() => this.#area.delete(this.#database));
  }
}

function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch {
    // A worker has no localStorage, and it may be full, or blocked.
    return undefined;
  }
}
