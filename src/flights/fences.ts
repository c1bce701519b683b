/** Flights whose results can be kept away from tiers and later callers. */
export interface Fenced {
  fence(key: string): void;
  fenceAll(): void;
}
