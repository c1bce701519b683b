import type { QueuedWrite, WriteQueue } from '../../contracts.js';
import type { Core } from './core.js';
import type { Life } from './process.js';

type Change = (rows: Map<string, QueuedWrite>) => void;

/** The disk of one process: what is on it outlives the process, what is on its way may not. */
export class Disk {
  readonly #core: Core;
  readonly #process: string;
  readonly #rows = new Map<string, QueuedWrite>();
  /** Changes in the order in which they were written. A crash keeps the first of them, and never a part of one. */
  #unsynced: Change[] = [];

  constructor(core: Core, process: string) {
    this.#core = core;
    this.#process = process;
  }

  /** Lets a part of what was not synced reach the disk, as a crash may do. */
  crash(): void {
    const kept = this.#core.streams.of(`disk ${this.#process}`).below(this.#unsynced.length + 1);
    for (const change of this.#unsynced.slice(0, kept)) change(this.#rows);
    this.#unsynced = [];
  }

  /** The queue as one life of the process sees it. */
  queue(life: Life): WriteQueue {
    const rows = (dead: boolean) => async (): Promise<readonly QueuedWrite[]> =>
      this.#sync(life, 'read queue', () => {}).then(() =>
        [...this.#rows.values()].filter((row) => (row.dead !== undefined) === dead),
      );
    return {
      name: 'disk',
      load: rows(false),
      listDead: rows(true),
      put: (writes) => {
        const kept = writes.map((write) => structuredClone(write));
        return this.#sync(life, `keep ${kept.map(({ key }) => key).join(',')}`, (held) => {
          for (const write of kept) held.set(write.id, write);
        });
      },
      remove: (ids) =>
        this.#sync(life, `forget ${ids.length}`, (held) => {
          for (const id of ids) held.delete(id);
        }),
    };
  }

  #sync(life: Life, what: string, change: Change): Promise<void> {
    this.#unsynced.push(change);
    return new Promise((resolve) => {
      life.arrive(this.#core.streams.of(`disk ${this.#process}`).within(this.#core.faults.syncTime), () => {
        // One sync takes everything that was written before it along.
        const end = this.#unsynced.indexOf(change) + 1;
        for (const it of this.#unsynced.splice(0, end)) it(this.#rows);
        this.#core.note(this.#process, `disk: ${what}`);
        resolve();
      });
    });
  }
}
