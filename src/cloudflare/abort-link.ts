import { RpcTarget } from 'cloudflare:workers';

import { fromErrorData, toErrorData, type ErrorData } from './error-data.js';

/** Called when the caller gives up. Over RPC a stub, which has to be kept and let go by hand. */
export type OnAbort = ((reason: ErrorData) => unknown) & {
  dup?(): OnAbort;
  [Symbol.dispose]?(): void;
};

/**
 * A caller's `AbortSignal` on its way to an object.
 *
 * The signal itself stays in the caller's request. The object hands over what to call when it fires.
 */
export class AbortLink extends RpcTarget {
  readonly #signal: AbortSignal;
  #onAbort: OnAbort | undefined;
  #ended = false;

  constructor(signal: AbortSignal) {
    super();
    this.#signal = signal;
    signal.addEventListener('abort', this.#pass);
  }

  /** Called by the object, once. */
  listen(onAbort: OnAbort): void {
    if (this.#ended) return;
    // Arguments of a call are let go at its end, unless they are duplicated.
    this.#onAbort = onAbort.dup?.() ?? onAbort;
    if (this.#signal.aborted) this.#pass();
  }

  /** Called by the caller when it needs no answer any more. */
  end(): void {
    this.#ended = true;
    this.#signal.removeEventListener('abort', this.#pass);
    this.#onAbort?.[Symbol.dispose]?.();
    this.#onAbort = undefined;
  }

  readonly #pass = (): void => {
    const { reason } = this.#signal;
    // Whether it arrives or not: the caller has left.
    Promise.resolve(this.#onAbort?.(toErrorData(reason))).catch(() => {});
  };
}

/** What the object sees of an {@link AbortLink}. */
export interface RemoteAbort {
  listen(onAbort: (reason: ErrorData) => void): unknown;
}

/** The signal of a caller elsewhere. */
export function signalOf(remote: RemoteAbort | undefined): AbortSignal | undefined {
  if (remote === undefined) return undefined;
  const controller = new AbortController();
  Promise.resolve(remote.listen((reason) => controller.abort(fromErrorData(reason)))).catch(() => {
    // The caller has left without a word; its load is for the next one.
  });
  return controller.signal;
}
