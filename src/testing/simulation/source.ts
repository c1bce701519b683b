import type { Upstream } from '../../contracts.js';
import type { Core } from './core.js';
import type { Life } from './process.js';

/** The truth that all caches are about: a version for each key, which every write raises by one. The first is 1. */
export class Source {
  readonly #core: Core;
  readonly #versions = new Map<string, number>();

  constructor(core: Core) {
    this.#core = core;
  }

  read(key: string): number {
    return this.#versions.get(key) ?? 1;
  }

  /** Raises the version of `key`, and tells the new one. */
  write(key: string): number {
    const version = this.read(key) + 1;
    this.#versions.set(key, version);
    return version;
  }

  /** Loads as one life of a process sees them: they take time, and may fail. */
  upstream(process: string, life: Life): Upstream<number> {
    const stream = this.#core.streams.of(`source ${process}`);
    const { heap, faults } = this.#core;
    return (key) =>
      new Promise((resolve, reject) => {
        const [there, back] = [stream.within(faults.loadTime), stream.within(faults.loadTime)];
        const fails = stream.happens(faults.loadFailure);
        heap.after(there, () => {
          const version = fails ? undefined : this.read(key);
          this.#core.note(process, `source: load ${key} = ${version ?? 'failure'}`);
          this.#core.log.loads.push({ process, key, version, from: heap.time - there, until: heap.time + back });
          life.arrive(back, () => (version === undefined ? reject(new Error('The source is away')) : resolve(version)));
        });
      });
  }
}
