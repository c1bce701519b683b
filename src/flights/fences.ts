/** Flights whose results can be kept away from tiers and later callers. */
export interface Fenced {
  fence(key: string): void;
  /** Those for keys that begin with `prefix`. @default all */
  fenceAll(prefix?: string): void;
}
