import type { Life } from './process.js';
import type { Disk } from './queue.js';

/** How a process comes to life. */
interface Birth<S> {
  readonly live: () => Life;
  readonly begin: (life: Life) => S;
}

/** A process through all its lives. */
export class SimulatedProcess<S> {
  readonly name: string;
  /** How far its wall clock is ahead. Outlives its lives, as a machine's clock does. */
  readonly wall: { ahead: number };
  readonly #disk: Disk;
  readonly #birth: Birth<S>;
  /** Called when the life ends, by scripts that run in it. */
  readonly ended: (() => void)[] = [];
  life: Life;
  started: S;

  constructor(name: string, disk: Disk, wall: { ahead: number }, birth: Birth<S>) {
    this.name = name;
    this.#disk = disk;
    this.wall = wall;
    this.#birth = birth;
    this.life = birth.live();
    this.started = birth.begin(this.life);
  }

  get running(): boolean {
    return !this.life.over;
  }

  crash(): void {
    if (this.life.over) return;
    this.life.end();
    this.#disk.crash();
    for (const end of this.ended.splice(0)) end();
  }

  restart(): void {
    this.crash();
    this.life = this.#birth.live();
    this.started = this.#birth.begin(this.life);
  }
}
