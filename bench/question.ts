import type { Candidate } from './candidate.ts';

/** Figures by name; each is a list of samples, of which the table shows the median. */
export type Findings = Readonly<Record<string, readonly number[]>>;

export interface Column {
  readonly heading: string;
  /** Which variant's findings, and which figure of them. */
  readonly variant: string;
  readonly figure: string;
  readonly show: (figure: number) => string;
  /** What ours are meant to reach, by candidate, printed beside the figure. */
  readonly targets?: Readonly<Record<string, string>>;
}

export interface Table {
  readonly caption?: string;
  readonly columns: readonly Column[];
}

/** A panel of the chart: one bar per candidate, on a logarithmic scale. */
export interface Panel {
  readonly title: string;
  readonly variant: string;
  readonly figure: string;
  readonly target?: number;
}

export interface Question {
  readonly title: string;
  /** How it was asked, for the reader of the table. */
  readonly method: string;
  readonly variants: readonly string[];
  /** How often each candidate is measured, each time in a new process. */
  readonly passes: number;
  /** Milliseconds for one process; a candidate that takes longer does not finish. */
  readonly bound: number;
  /** Each variant asks more than the one before: who does not finish one is not asked the next. */
  readonly growing?: true;
  /** `undefined` if the candidate can take part, else why not, to follow "does not". */
  readonly unable: (candidate: Candidate) => string | undefined;
  readonly measure: (candidate: Candidate, variant: string, quick: boolean) => Promise<Findings>;
  readonly tables: readonly Table[];
  readonly panels?: readonly Panel[];
}

export const ratio = (figure: number): string =>
  `${figure < 10 ? figure.toFixed(2) : figure < 100 ? figure.toFixed(1) : whole(figure)} ×`;
export const nanoseconds = (figure: number): string =>
  figure < 10_000 ? `${whole(figure)} ns` : `${(figure / 1_000).toFixed(1)} µs`;
export const microseconds = (figure: number): string => `${figure.toFixed(2)} µs`;
export const bytes = (figure: number): string => `${whole(figure)} B`;
export const kilobytes = (figure: number): string => `${(figure / 1_000).toFixed(1)} kB`;
export const percent = (figure: number): string => `${(figure * 100).toFixed(figure === 1 || figure === 0 ? 0 : 1)} %`;

export function whole(figure: number): string {
  return Math.round(figure).toLocaleString('en-US');
}
