import { checkSignal } from '../base/checks.js';
import { rejection, silenced } from '../base/promises.js';
import type { MaybePromise } from '../contracts.js';
import { misuse, SoloflightError } from '../errors.js';
import { resolveConnectivity, type ConnectivityOptions, type ConnectivitySettings } from './connectivity-options.js';
import { onlineSchedule } from './online-schedule.js';
import { Prober } from './prober.js';

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
 * Watches whether the server can be reached: by the browser's `online` and `offline` events, and by failing requests.
 *
 * With a `probe`, the probe decides: a failed request or an `online` event starts it, and while the server can't be reached
 * it runs again after growing pauses. Without one, requests decide: after a failure the state is `'unreachable'` for such a
 * pause, then `'online'` again, so that the next request may find out.
 *
 * No timer runs while the state is `'online'` or `'offline'`. Outside of a browser, it is `'online'` until something fails.
 *
 * @throws TypeError for an option that makes no sense.
 */
export function connectivity(options: ConnectivityOptions = {}): Connectivity {
  return new ConnectivitySignal(resolveConnectivity(options));
}

/** The part of a window, or of a worker's global scope, that is used here. */
interface Platform {
  readonly navigator?: { readonly onLine?: boolean };
  addEventListener?(type: 'online' | 'offline', listener: () => void): void;
  removeEventListener?(type: 'online' | 'offline', listener: () => void): void;
  reportError?(error: unknown): void;
}

class ConnectivitySignal implements Connectivity {
  readonly fetch: typeof fetch = (input, init) => this.track(() => globalThis.fetch(input, init));
  readonly #settings: ConnectivitySettings;
  readonly #prober: Prober;
  readonly #listeners = new Set<(state: ConnectivityState) => void>();
  readonly #closing = new AbortController();
  #state: ConnectivityState;
  #since: number;
  /** Whether the browser reports a network. */
  #network: boolean;

  constructor(settings: ConnectivitySettings) {
    this.#settings = settings;
    this.#prober = new Prober({ settings, settled: (reached) => this.#probed(reached) });
    const platform = globalThis as Platform;
    this.#network = platform.navigator?.onLine !== false;
    this.#state = this.#network ? 'online' : 'offline';
    this.#since = settings.clock.now();
    platform.addEventListener?.('online', this.#wentOnline);
    platform.addEventListener?.('offline', this.#wentOffline);
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
    if (probe !== undefined && !this.#closing.signal.aborted) await this.#prober.ask(probe);
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
    const schedule = onlineSchedule({ connection: this, clock, closing: this.#closing.signal, run });
    // Nobody knows yet what an earlier page left in the queue.
    schedule(clock.now());
    return schedule;
  }

  close(): void {
    const platform = globalThis as Platform;
    platform.removeEventListener?.('online', this.#wentOnline);
    platform.removeEventListener?.('offline', this.#wentOffline);
    this.#prober.stop();
    this.#listeners.clear();
    this.#closing.abort(new SoloflightError('SOLOFLIGHT_CONNECTIVITY_CLOSED', 'Connectivity is not watched any more'));
  }

  readonly #wentOffline = (): void => {
    this.#network = false;
    this.#prober.stop();
    this.#become('offline');
  };

  /** A network does not yet mean a server. */
  readonly #wentOnline = (): void => {
    this.#network = true;
    this.#prober.stop();
    if (this.#settings.probe === undefined) this.#become('online');
    else void this.#prober.ask(this.#settings.probe);
  };

  /** An exception in `isFailure` must not replace the failure of the request. */
  #look(error: unknown): void {
    try {
      if (this.#settings.isFailure(error)) this.#failed();
    } catch (failure) {
      (globalThis as Platform).reportError?.(failure);
    }
  }

  #succeeded(): void {
    // Without a network, a service worker may have answered.
    if (!this.#network || this.#closing.signal.aborted) return;
    const { probe } = this.#settings;
    if (probe === undefined) {
      this.#prober.succeed();
      this.#become('online');
    } else if (this.#state !== 'online') void this.#prober.ask(probe);
  }

  #failed(): void {
    if (!this.#network || this.#closing.signal.aborted) return;
    // Of many failures at the same time, one counts.
    if (this.#prober.busy) return;
    const { probe } = this.#settings;
    if (probe === undefined) {
      this.#prober.pause(() => this.#become('online'));
      this.#become('unreachable');
    } else void this.#prober.ask(probe);
  }

  #probed(reached: boolean): void {
    const { probe } = this.#settings;
    if (reached) {
      // Even if the browser reports no network.
      this.#network = true;
      this.#prober.succeed();
      this.#become('online');
      return;
    }
    if (!this.#network || probe === undefined) return;
    this.#prober.pause(() => void this.#prober.ask(probe));
    this.#become('unreachable');
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
