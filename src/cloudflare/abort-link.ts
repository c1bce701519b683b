import { RpcTarget } from 'cloudflare:workers';

import { fromErrorData, toErrorData, type ErrorData } from './error-data.js';

/** Called when the caller gives up. Over RPC it is a stub, which must be kept and disposed by hand. */
export type OnAbort = ((reason: ErrorData) => unknown) & {
  dup?(): OnAbort;
  [Symbol.dispose]?(): void;
};

/**
 * A caller's `AbortSignal` on its way to an object.
 *
 * The signal itself stays in the caller's request. The object passes a function to call when it fires.
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
    // RPC disposes the arguments of a call at its end, unless they are duplicated.
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
    // Sent without looking at the outcome: the caller has left.
    Promise.resolve(this.#onAbort?.(toErrorData(reason))).catch(() => {});
  };
}

/** An {@link AbortLink} as the object sees it. */
export interface RemoteAbort {
  listen(onAbort: (reason: ErrorData) => void): unknown;
}

/** The signal of a caller elsewhere. */
export function signalOf(remote: RemoteAbort | undefined): AbortSignal | undefined {
  if (remote === undefined) return undefined;
  const controller = new AbortController();
  Promise.resolve(remote.listen((reason) => controller.abort(fromErrorData(reason)))).catch(() => {
    // The caller is gone without a word. Its load goes on for the next one.
  });
  return controller.signal;
}
