interface Tick {
  (run: () => void): void;
  /** Fake timers of sinon, Vitest and Jest mark what they replace with their own clock. */
  readonly clock?: unknown;
}

/**
 * Runs its argument when no microtask is left. Taken when this module is loaded: Jest's fake timers replace it.
 *
 * Workers have one that is a microtask itself.
 */
const tick = /* @__PURE__ */ realTick();

function realTick(): Tick | undefined {
  const { process, navigator } = globalThis as {
    readonly process?: { readonly nextTick?: Tick };
    readonly navigator?: { readonly userAgent?: string };
  };
  const nextTick = navigator?.userAgent === 'Cloudflare-Workers' ? undefined : process?.nextTick;
  return nextTick?.clock === undefined ? nextTick : undefined;
}

/** The number of microtasks that counts as a turn where the platform does not tell when one ends. */
const TURN = 100;

/**
 * Calls `run` when nothing is left to do in this turn of the event loop.
 *
 * Two rounds, since callbacks of `nextTick` may continue what waits for them. Elsewhere a timer would be exact, but it may not
 * outlive a Worker's request and is held up in a hidden tab: there, {@link TURN} microtasks have to do.
 */
export function atEndOfTurn(run: () => void): void {
  if (tick === undefined) afterMicrotasks(TURN, run);
  else afterMicrotasks(1, () => tick(() => afterMicrotasks(1, () => tick(run))));
}

function afterMicrotasks(count: number, run: () => void): void {
  void Promise.resolve().then(() => (count > 1 ? afterMicrotasks(count - 1, run) : run()));
}

/** Calls `run` in the next microtask. */
export function soon(run: () => void): void {
  afterMicrotasks(1, run);
}
