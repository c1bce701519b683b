import { close, enqueue, nextChunk } from './body.js';

/** The outcome of collecting a body. */
export type BodyEnd =
  | { readonly end: 'complete'; readonly bytes: Uint8Array }
  | { readonly end: 'too-large' }
  | { readonly end: 'broken'; readonly bytes: Uint8Array; readonly error: unknown };

/**
 * One body for two: streamed to the caller who asked for it, and collected for the cache.
 *
 * While it is collected the cache sets the pace, so that nobody waits for a caller who reads slowly or not at all. Once
 * it is too large, or nobody else waits for it, the caller sets the pace alone.
 */
export class Relay {
  /** The caller's body. Ends only after {@link release}: by then the cache has it too. */
  readonly stream: ReadableStream<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #limit: number;
  readonly #chunks: Uint8Array[] = [];
  readonly #signal: AbortSignal | undefined;
  readonly #abort = (): void => {
    if (this.#isCallerGone) return;
    this.#controller.error(this.#signal?.reason);
    void this.#leave(this.#signal?.reason);
  };
  #size = 0;
  #controller!: ReadableByteStreamController;
  /** Who reads the source: the collector, the caller, or nobody any more. */
  #pace: 'collector' | 'caller' | 'ended' = 'collector';
  #isCallerGone = false;
  #isReleased = false;

  /** `signal` is the caller's: it ends the caller's body with its reason, and nobody else's. */
  constructor(body: ReadableStream<Uint8Array>, limit: number, signal: AbortSignal | undefined) {
    this.#reader = body.getReader();
    this.#limit = limit;
    this.#signal = signal;
    this.stream = new ReadableStream(
      {
        type: 'bytes',
        start: (controller) => void (this.#controller = controller),
        pull: () => this.#pull(),
        cancel: (reason) => this.#leave(reason),
      },
      { highWaterMark: 0 },
    );
    if (signal?.aborted === true) this.#abort();
    signal?.addEventListener('abort', this.#abort, { once: true });
  }

  /** Reads the body to its end, or until it is too large, or `signal` tells that nobody waits for it. Never rejects. */
  async collect(signal: AbortSignal): Promise<BodyEnd> {
    const stop = (): void => this.#handOver(signal.reason);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    try {
      while (this.#pace === 'collector') {
        const chunk = await nextChunk(this.#reader);
        if (chunk === undefined) return this.#complete();
        this.#take(chunk);
      }
      return { end: 'too-large' };
    } catch (error) {
      this.#pace = 'ended';
      this.#fail(error);
      return { end: 'broken', bytes: this.#joined(), error };
    } finally {
      signal.removeEventListener('abort', stop);
    }
  }

  /** Called when the cache is done with the body, whatever came of it. */
  release(): void {
    this.#isReleased = true;
    if (this.#pace === 'ended') this.#close();
  }

  #take(chunk: Uint8Array): void {
    this.#size += chunk.byteLength;
    const isKept = this.#size <= this.#limit && this.#pace === 'collector';
    if (!this.#isCallerGone) enqueue(this.#controller, chunk);
    if (isKept) this.#chunks.push(chunk);
    else this.#handOver(undefined);
  }

  /** Lets the caller read on alone. */
  #handOver(reason: unknown): void {
    if (this.#pace !== 'collector') return;
    this.#pace = 'caller';
    this.#chunks.length = 0;
    if (this.#isCallerGone) void this.#cancel(reason);
  }

  #pull(): Promise<void> | undefined {
    return this.#pace === 'caller' ? this.#pass() : undefined;
  }

  async #pass(): Promise<void> {
    try {
      const chunk = await nextChunk(this.#reader);
      if (this.#isCallerGone) return;
      if (chunk !== undefined) return enqueue(this.#controller, chunk);
      this.#pace = 'ended';
      this.#close();
    } catch (error) {
      this.#pace = 'ended';
      this.#fail(error);
    }
  }

  #leave(reason: unknown): Promise<void> | undefined {
    this.#forget();
    return this.#pace === 'caller' ? this.#cancel(reason) : undefined;
  }

  #cancel(reason: unknown): Promise<void> {
    return this.#reader.cancel(reason).catch(() => {});
  }

  #complete(): BodyEnd {
    // If the body was handed over during this read, its end is the caller's.
    const isWhole = this.#pace === 'collector';
    this.#pace = 'ended';
    if (this.#isReleased || !isWhole) this.#close();
    return isWhole ? { end: 'complete', bytes: this.#joined() } : { end: 'too-large' };
  }

  #close(): void {
    if (this.#isCallerGone) return;
    this.#forget();
    close(this.#controller);
  }

  #fail(error: unknown): void {
    if (this.#isCallerGone) return;
    this.#forget();
    this.#controller.error(error);
  }

  #forget(): void {
    this.#isCallerGone = true;
    this.#signal?.removeEventListener('abort', this.#abort);
  }

  /** Copies the chunks: those of sockets are views of pooled buffers. */
  #joined(): Uint8Array {
    const bytes = new Uint8Array(this.#chunks.reduce((size, chunk) => size + chunk.byteLength, 0));
    let at = 0;
    for (const chunk of this.#chunks) {
      bytes.set(chunk, at);
      at += chunk.byteLength;
    }
    return bytes;
  }
}
