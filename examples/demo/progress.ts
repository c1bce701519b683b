import type { WriteStream } from 'node:tty';

import type { Progress } from './run.ts';
import { count } from './table.ts';
import type { Way } from './ways.ts';

const BLOCKS = ' ▁▂▃▄▅▆▇█';
/** Queries in a tenth of a second that fill a block. */
const FULL = 40;
/** Milliseconds between lines where nothing can be redrawn, as in a log. */
const LINE_EVERY = 2_000;

interface Row {
  readonly progress: Progress;
  readonly graph: string;
}

/** Shows a run while it goes on: as a line per way with a growing graph of its queries, or as a line in a log now and then. */
export class LiveProgress {
  readonly #out: WriteStream;
  readonly #ways: readonly Way[];
  readonly #rows = new Map<Way, Row>();
  #drawn = 0;
  #nextLineAt = 0;

  constructor(out: WriteStream, ways: readonly Way[]) {
    this.#out = out;
    this.#ways = ways;
  }

  update(progress: Progress): void {
    this.#nextLineAt ||= performance.now() + LINE_EVERY;
    const previous = this.#rows.get(progress.way);
    const queries = progress.queries - (previous?.progress.queries ?? 0);
    this.#rows.set(progress.way, { progress, graph: (previous?.graph ?? '') + block(queries) });
    if (this.#out.isTTY) this.#draw();
    else if (performance.now() >= this.#nextLineAt) this.#log();
  }

  clear(): void {
    if (this.#drawn > 0) this.#out.write(`\x1b[${this.#drawn}A\x1b[0J`);
    this.#drawn = 0;
  }

  #inOrder(): Row[] {
    return this.#ways.map((way) => this.#rows.get(way)).filter((row) => row !== undefined);
  }

  #draw(): void {
    // A line that wraps could not be redrawn. Some terminals don't report their width.
    const width = (this.#out.columns || 80) - 1;
    const lines = this.#inOrder().map(({ progress: { way, queries, failed }, graph }) => {
      const figures = `  ${way.padEnd(13)}${count(queries).padStart(7)} queries${count(failed).padStart(7)} failed  `;
      const room = Math.max(0, width - figures.length);
      return figures.slice(0, width) + graph.slice(Math.max(0, graph.length - room));
    });
    this.clear();
    this.#out.write(`${lines.join('\n')}\n`);
    this.#drawn = lines.length;
  }

  #log(): void {
    this.#nextLineAt = performance.now() + LINE_EVERY;
    const ways = this.#inOrder().map(
      ({ progress }) => `${progress.way} ${count(progress.queries)} (${count(progress.failed)} failed)`,
    );
    this.#out.write(`  queries so far: ${ways.join(', ')}\n`);
  }
}

function block(queries: number): string {
  return BLOCKS[Math.min(BLOCKS.length - 1, Math.ceil((queries / FULL) * (BLOCKS.length - 1)))] ?? '';
}
