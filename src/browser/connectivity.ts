import { checkSignal } from '../base/checks.js';
import { rejection, silenced } from '../base/promises.js';
import type { MaybePromise } from '../contracts.js';
import { misuse, SoloflightError } from '../errors.js';
import {
  resolveConnectivity,
  type ConnectivityOptions,
  type ConnectivitySettings,
  type Probe,
} from './connectivity-options.js';
import { onlineSchedule } from './online-schedule.js';
import { Prober } from './prober.js';
import { SharedProbes } from './shared-probes.js';

/**
 * Whether the server can be reached, as far as known.
 *
 * `'online'`: nothing suggests otherwise. `'offline'`: the browser reports that there is no network. `'unreachable'`: the
 * browser reports a network, but requests fail.
 */
export type ConnectivityState = 'online' | 'offline' | 'unreachable';

/** The signal that {@link connectivity} returns. */
export interface Connectivity {
  readonly state: ConnectivityState;
  /** When the state last changed, epoch milliseconds. */
  readonly since: number;
  /** `fetch`, with its failures noticed. Any response, whatever its status, means that the server is there. */
  readonly fetch: typeof fetch;
  /** Runs `request` and notices how it ends. Settles as `request` does. */
  track<T>(request: () => MaybePromise<T>): Promise<T>;
  /** Calls `listener` at each change of the state until the returned function is called. */
  on(listener: (state: ConnectivityState) => void): () => void;
  /** Probes now, whatever the state, and resolves with the state after that. */
  check(): Promise<ConnectivityState>;
  /** Resolves once the state is `'online'`. Rejects with `signal.reason`, or when this is closed first. */
  whenOnline(options?: { readonly signal?: AbortSignal }): Promise<void>;
  /**
   * Makes a `schedule` for a `WriteBehind`. It calls `run`, which flushes the `WriteBehind`, when that is due and the state
   * is `'online'`, or at once when the state becomes `'online'`. In other states nothing is tried, so that waiting writes
   * still coalesce. Also calls `run` once at first, for writes that the queue holds from before.
   *
   * `due` tells `run` that it is called because something is due: then pauses after failures go on.
   */
  schedule(run: (options: { readonly due: boolean }) => MaybePromise<unknown>): (dueAt: number) => void;
  /** Stops listening, probing and notifying. No timer is left. */
  close(): void;
}

/**
 * Watches whether the server can be reached: by the browser's `online` and `offline` events, and by requests.
 *
 * With a `probe`, the probe decides: a failed request or an `online` event starts it, and while the server can't be reached
 * it runs again after growing pauses, in one tab of the origin for all. Without one, requests decide: after a failure the
 * state is `'unreachable'` for such a pause, then `'online'` again, so that the next request may find out. Browsers
 * are mistaken at times: also while they report no network, the probe runs after such pauses, and a request that succeeds
 * starts it, or decides. A page that somebody looks at again ends a pause.
 *
 * No timer runs while the state is `'online'`. Outside of a browser, it is `'online'` until something fails.
 *
 * @throws TypeError for an option that makes no sense.
 */
export function connectivity(options: ConnectivityOptions = {}): Connectivity {
  return new ConnectivitySignal(resolveConnectivity(options));
}

/** The part of a window, or of a worker's global scope, that is used here. */
interface Platform {
  readonly navigator?: { readonly onLine?: boolean };
  readonly document?: { readonly visibilityState: string };
  addEventListener?(type: string, listener: () => void): void;
  removeEventListener?(type: string, listener: () => void): void;
  reportError?(error: unknown): void;
}

/** Events after which a page is looked at that was not before. */
const GLANCES = ['visibilitychange', 'focus', 'pageshow'] as const;

class ConnectivitySignal implements Connectivity {
  readonly fetch: typeof fetch = (input, init) => this.track(() => globalThis.fetch(input, init));
  readonly #settings: ConnectivitySettings;
  readonly #prober: Prober;
  readonly #listeners = new Set<(state: ConnectivityState) => void>();
  readonly #closing = new AbortController();
  readonly #shared: SharedProbes | undefined;
  #state: ConnectivityState;
  #since: number;
  /** Whether the browser reports a network. */
  #network: boolean;
  /** How long another tab may take to probe, milliseconds. */
  #patience: number;

  constructor(settings: ConnectivitySettings) {
    this.#settings = settings;
    const { name } = settings;
    const shared = name === undefined ? undefined : new SharedProbes(name, (reached) => this.#heard(reached));
    this.#shared = shared;
    this.#prober = new Prober({
      ...{ settings, shared, settled: (reached) => this.#probed(reached) },
      elsewhere: () => this.#prober.wait(this.#patience, () => void this.#ask(settings.probe, true)),
    });
    const platform = globalThis as Platform;
    this.#network = platform.navigator?.onLine !== false;
    this.#state = this.#network ? 'online' : 'offline';
    this.#since = settings.clock.now();
    this.#patience = settings.probeTimeout;
    platform.addEventListener?.('online', this.#wentOnline);
    platform.addEventListener?.('offline', this.#wentOffline);
    for (const event of GLANCES) platform.addEventListener?.(event, this.#wake);
    if (!this.#network) this.#pause();
  }

  get state(): ConnectivityState {
    return this.#state;
  }

  get since(): number {
    return this.#since;
  }

  async track<T>(request: () => MaybePromise<T>): Promise<T> {
    if (typeof request !== 'function') throw misuse('request', 'a function', request);
    let result: T;
    try {
      result = await request();
    } catch (error) {
      this.#look(error);
      throw error;
    }
    this.#succeeded();
    return result;
  }

  on(listener: (state: ConnectivityState) => void): () => void {
    if (typeof listener !== 'function') throw misuse('listener', 'a function', listener);
    // A wrapper, so that the same listener registered twice is called twice and leaves one at a time.
    const own = (state: ConnectivityState): void => listener(state);
    if (!this.#closing.signal.aborted) this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  async check(): Promise<ConnectivityState> {
    const { probe } = this.#settings;
    if (probe !== undefined && !this.#closing.signal.aborted) await this.#ask(probe, true);
    return this.#state;
  }

  whenOnline(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options;
    checkSignal(signal);
    if (signal?.aborted === true) return rejection(signal.reason);
    if (this.#closing.signal.aborted) return rejection(this.#closing.signal.reason);
    if (this.#state === 'online') return Promise.resolve();
    const closing = this.#closing.signal;
    const waiting = new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        off();
        closing.removeEventListener('abort', closed);
        signal?.removeEventListener('abort', aborted);
      };
      const aborted = (): void => {
        leave();
        reject(signal?.reason);
      };
      const closed = (): void => {
        leave();
        reject(closing.reason);
      };
      const off = this.on((state) => {
        if (state !== 'online') return;
        leave();
        resolve();
      });
      closing.addEventListener('abort', closed);
      signal?.addEventListener('abort', aborted);
    });
    return silenced(waiting);
  }

  schedule(run: (options: { readonly due: boolean }) => MaybePromise<unknown>): (dueAt: number) => void {
    if (typeof run !== 'function') throw misuse('run', 'a function', run);
    const { clock } = this.#settings;
    const closing = this.#closing.signal;
    const schedule = onlineSchedule({ connection: this, clock, closing, run });
    // Nobody knows yet what an earlier page left in the queue.
    schedule(clock.now());
    return schedule;
  }

  close(): void {
    const platform = globalThis as Platform;
    platform.removeEventListener?.('online', this.#wentOnline);
    platform.removeEventListener?.('offline', this.#wentOffline);
    for (const event of GLANCES) platform.removeEventListener?.(event, this.#wake);
    this.#prober.stop();
    this.#shared?.close();
    this.#listeners.clear();
    this.#closing.abort(new SoloflightError('SOLOFLIGHT_CONNECTIVITY_CLOSED', 'Connectivity is not watched any more'));
  }

  readonly #wentOffline = (): void => {
    this.#network = false;
    this.#prober.stop();
    this.#pause();
    this.#become('offline');
  };

  /** Somebody looks at the page again, or it is back from the history: a pause that was meant for a server is over. */
  readonly #wake = (): void => {
    if ((globalThis as Platform).document?.visibilityState === 'hidden') return;
    this.#patience = this.#settings.initial;
    this.#prober.wake();
  };

  /** A network does not yet mean a server. */
  readonly #wentOnline = (): void => {
    this.#network = true;
    this.#prober.stop();
    this.#patience = this.#settings.initial;
    if (this.#settings.probe === undefined) this.#become('online');
    else if (this.#state !== 'online') void this.#ask(this.#settings.probe, false);
  };

  #ask(probe: Probe | undefined, alone: boolean): Promise<void> {
    return probe === undefined ? Promise.resolve() : this.#prober.ask(probe, alone);
  }

  /** Plans what may find out that there is a network, or a server. */
  #pause(): void {
    const { probe, probeTimeout } = this.#settings;
    if (probe === undefined && !this.#network) return;
    this.#prober.pause(() => {
      if (probe === undefined) this.#become('online');
      else void this.#ask(probe, false);
    });
    this.#patience = probeTimeout;
  }

  /** Another tab has probed. */
  #heard(reached: boolean): void {
    if (this.#closing.signal.aborted || this.#state === 'online') return;
    if (reached) {
      this.#prober.stop();
      this.#probed(true);
    } else if (!this.#prober.asking) this.#pause();
  }

  /** An exception in `isFailure` must not replace the failure of the request. */
  #look(error: unknown): void {
    try {
      if (this.#settings.isFailure(error)) this.#failed();
    } catch (failure) {
      (globalThis as Platform).reportError?.(failure);
    }
  }

  #succeeded(): void {
    if (this.#closing.signal.aborted) return;
    const { probe } = this.#settings;
    if (probe === undefined) this.#probed(true);
    // A service worker may have answered.
    else if (this.#state !== 'online') void this.#ask(probe, false);
  }

  #failed(): void {
    if (!this.#network || this.#closing.signal.aborted) return;
    // Of many failures at the same time, one counts.
    if (this.#prober.busy) return;
    const { probe } = this.#settings;
    if (probe === undefined) {
      this.#pause();
      this.#become('unreachable');
    } else void this.#ask(probe, false);
  }

  #probed(reached: boolean): void {
    if (reached) {
      // Even if the browser reports no network.
      this.#network = true;
      this.#prober.succeed();
      this.#become('online');
      return;
    }
    this.#pause();
    this.#become(this.#network ? 'unreachable' : 'offline');
  }

  #become(state: ConnectivityState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#since = this.#settings.clock.now();
    for (const listener of [...this.#listeners]) {
      // A listener that changed the state has told everybody else, and one may have removed others.
      if (this.#state !== state) return;
      if (!this.#listeners.has(listener)) continue;
      try {
        listener(state);
      } catch (error) {
        (globalThis as Platform).reportError?.(error);
      }
    }
  }
}
