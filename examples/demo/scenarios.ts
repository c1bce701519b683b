import type { Measurement } from './measurement.ts';

/** The situation of the site, and soloflight's promise for it. Times are milliseconds. */
export interface Scenario {
  readonly title: string;
  readonly story: string;
  readonly requests: number;
  /** The requests are spread evenly over this time. */
  readonly over: number;
  /** The number of different posts requested, in turn. */
  readonly posts: number;
  /** How long both caches keep a post. */
  readonly ttl: number;
  /** When the database is down, counted from the first request. */
  readonly outage?: { readonly from: number; readonly to: number };
  /** Runs the three ways at the same time: only where the load is so light that they don't slow each other down. */
  readonly together: boolean;
  readonly promise: string;
  readonly kept: (soloflight: Measurement) => boolean;
}

export const viralPost: Scenario = {
  title: 'The viral post',
  story: '10,000 requests for one post within a second',
  requests: 10_000,
  // A little less than a second, so that the last one is on its way when the second ends.
  over: 950,
  posts: 1,
  ttl: 60_000,
  together: false,
  promise: 'one query, no failed request',
  kept: ({ queries, failed }) => queries === 1 && failed === 0,
};

export const everySecond: Scenario = {
  title: 'Expiry every second',
  story: '1,000 requests a second for one post that is cached for one second, ten times over',
  requests: 10_600,
  // A little more than ten seconds: a cached second begins when its query ends, so ten of them take ten queries longer.
  over: 10_600,
  posts: 1,
  ttl: 1_000,
  together: true,
  promise: 'one query at the start and one per expiry, no failed request',
  kept: ({ queries, failed }) => queries <= 11 && failed === 0,
};

export const databaseDown: Scenario = {
  title: 'The database is down for five seconds',
  story: '250 requests a second for twenty posts that are cached for one second',
  requests: 2_500,
  over: 10_000,
  posts: 20,
  ttl: 1_000,
  outage: { from: 2_500, to: 7_500 },
  together: true,
  promise: 'no failed request',
  kept: ({ failed }) => failed === 0,
};

export const scenarios: readonly Scenario[] = [viralPost, everySecond, databaseDown];
