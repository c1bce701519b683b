import type { LoadReport } from './messages.ts';
import type { Way } from './ways.ts';

/** The figures of one way under one scenario. Times are milliseconds. */
export interface Measurement {
  readonly way: Way;
  readonly requests: number;
  readonly failed: number;
  /** Queries from the first request on. */
  readonly queries: number;
  /** Queries in each tenth of a second. */
  readonly timeline: readonly number[];
  /** Latencies count from the planned instant of a request to its answer or failure. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly sentWithin: number;
}

/** Width of a bar in the timeline, milliseconds. */
export const TENTH = 100;

export function measure(way: Way, start: number, queries: readonly number[], load: LoadReport): Measurement {
  const latencies = load.latencies.toSorted((a, b) => a - b);
  return {
    way,
    requests: latencies.length,
    failed: load.failed,
    queries: queries.length,
    timeline: timelineOf(queries.map((instant) => instant - start)),
    p50: percentile(latencies, 0.5),
    p99: percentile(latencies, 0.99),
    max: percentile(latencies, 1),
    sentWithin: load.sentWithin,
  };
}

function timelineOf(instants: readonly number[]): number[] {
  const timeline: number[] = [];
  for (const instant of instants) {
    const tenth = Math.max(0, Math.floor(instant / TENTH));
    while (timeline.length <= tenth) timeline.push(0);
    timeline[tenth]! += 1;
  }
  return timeline;
}

/** The smallest of the ascending `sorted` that at least `share` of them do not exceed. */
function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
}
