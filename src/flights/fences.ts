/** Flights whose results can be kept away from tiers and later callers. */
export interface Fenced {
  fence(key: string): void;
  fenceAll(): void;
}

/** Several kinds of flights for the same keys, fenced together. */
export class Fences implements Fenced {
  #all: readonly Fenced[] = [];

  add(...flights: readonly Fenced[]): void {
    this.#all = [...this.#all, ...flights];
  }

  fence(key: string): void {
    for (const flights of this.#all) flights.fence(key);
  }

  fenceAll(): void {
    for (const flights of this.#all) flights.fenceAll();
  }
}
