/** Which process can reach which service. */
export class Network {
  readonly #cuts = new Map<string, number>();
  readonly #held = new Map<string, number>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Cuts the connection until `instant`, which may be `Infinity`. */
  cut(process: string, service: string, instant: number): void {
    this.#cuts.set(`${process} ${service}`, instant);
  }

  heal(): void {
    this.#cuts.clear();
  }

  isCut(process: string, service: string): boolean {
    return (this.#cuts.get(`${process} ${service}`) ?? 0) > this.#now();
  }

  /** Holds what is sent between both until `instant`. */
  hold(process: string, service: string, instant: number): void {
    this.#held.set(`${process} ${service}`, instant);
  }

  heldUntil(process: string, service: string): number {
    return this.#held.get(`${process} ${service}`) ?? 0;
  }
}
