import { styleText } from 'node:util';

import type { Measurement } from './measurement.ts';

const HEADINGS = ['', 'queries', 'failed', 'p50', 'p99', 'max'];

/** The measurements of one scenario as a table for the terminal, a line per way. */
export function table(measurements: readonly Measurement[]): string {
  const rows = measurements.map(cellsOf);
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('   ');

  const lines = rows.map((row) => (row[0] === 'soloflight' ? styleText('bold', line(row)) : line(row)));
  return [styleText('dim', line(HEADINGS)), ...lines].map((text) => `  ${text}`).join('\n');
}

function cellsOf({ way, queries, failed, p50, p99, max }: Measurement): string[] {
  return [way, count(queries), count(failed), time(p50), time(p99), time(max)];
}

/** `12345` as `12,345`. */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** Milliseconds, with a decimal where it matters. */
export function time(value: number): string {
  return `${value < 10 ? value.toFixed(1) : count(Math.round(value))} ms`;
}
