/** What happened in a simulated world, one line per event. */
export class Trace {
  readonly #lines: { readonly at: number; readonly column: string; readonly text: string }[] = [];
  readonly #columns: string[] = [];

  /** Gives `column` its place beside the others. Of an unknown one, the first line does so. */
  open(column: string): void {
    if (!this.#columns.includes(column)) this.#columns.push(column);
  }

  note(at: number, column: string, text: string): void {
    this.open(column);
    this.#lines.push({ at, column, text });
  }

  /** All lines: the time, then a column per process or service, wide enough for what stands in it. */
  toString(): string {
    const widths = new Map(this.#columns.map((column) => [column, column.length]));
    for (const { column, text } of this.#lines) widths.set(column, Math.max(widths.get(column)!, text.length));
    const row = (time: string, column: string, text: string): string => {
      const cells = this.#columns.map((name) => (name === column ? text : '').padEnd(widths.get(name)!));
      return [time.padStart(8), ...cells].join('  ').trimEnd();
    };
    const head = ['ms'.padStart(8), ...this.#columns.map((name) => name.padEnd(widths.get(name)!))]
      .join('  ')
      .trimEnd();
    return [head, ...this.#lines.map(({ at, column, text }) => row(String(at), column, text)), ''].join('\n');
  }
}
