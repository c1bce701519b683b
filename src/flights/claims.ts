import type { CacheFlights } from './cache-flights.js';
import type { Claim } from './claim.js';
import type { FlightMapOptions } from './flight-map.js';

/** The claims of a cache and its namespaces, in the order in which they began. */
export interface Claims {
  grant(since: number, giveUp: (claim: Claim) => void): Claim;
  delete(claim: Claim): void;
  /** Gives up the flights whose leader is gone: all of them, or the oldest ones in passing. */
  sweep(inPassing: boolean): void;
  /** Makes a map of flights that have claims. */
  flights<K, R, D, V>(options: FlightMapOptions<K>): CacheFlights<K, R, D, V>;
}

/** The rejection of followers whose leader is gone. Callers never see it: followers take over, or join who did. */
export const LEADER_LOST: Error = /* @__PURE__ */ new Error('The request that led this flight is gone');
