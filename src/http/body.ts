/** How reading a body to its end came out. */
export type BodyEnd =
  | { readonly end: 'complete'; readonly bytes: Uint8Array }
  | { readonly end: 'too-large' }
  | { readonly end: 'broken'; readonly bytes: Uint8Array; readonly error: unknown };

/** Reads all of `body`, but gives it up once it is larger than `limit` bytes, or `signal` aborts. Never rejects. */
export async function readBody(body: ReadableStream<Uint8Array>, limit: number, signal: AbortSignal): Promise<BodyEnd> {
  const reader = body.getReader();
  const stop = (): void => void reader.cancel(signal.reason).catch(() => {});
  signal.addEventListener('abort', stop, { once: true });
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for (;;) {
      if (signal.aborted) throw signal.reason;
      const { done, value } = await reader.read();
      if (signal.aborted) throw signal.reason;
      if (done) return { end: 'complete', bytes: joined(chunks, size) };
      size += value.byteLength;
      if (size > limit) {
        void reader.cancel().catch(() => {});
        return { end: 'too-large' };
      }
      chunks.push(value);
    }
  } catch (error) {
    return { end: 'broken', bytes: joined(chunks, size), error };
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** A copy of its own: chunks of sockets are views of pooled buffers. */
function joined(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}

/** `body` for a caller with a signal: an abort ends this stream as it would end one of `fetch`, and no other. */
export function abortable(body: ReadableStream<Uint8Array>, signal: AbortSignal): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let rest = (): void => {};
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const stop = (): void => {
          controller.error(signal.reason);
          void reader.cancel(signal.reason).catch(() => {});
        };
        if (signal.aborted) return stop();
        signal.addEventListener('abort', stop, { once: true });
        rest = () => signal.removeEventListener('abort', stop);
      },
      async pull(controller) {
        try {
          const { done, value } = await reader.read();
          if (signal.aborted) return;
          if (!done) return controller.enqueue(value);
          rest();
          controller.close();
        } catch (error) {
          rest();
          throw error;
        }
      },
      cancel(reason) {
        rest();
        return reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

/** A body that ends as a broken one did: what had arrived, then the failure. */
export function brokenBody(bytes: Uint8Array, error: unknown): ReadableStream<Uint8Array> {
  let sent = bytes.byteLength === 0;
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (sent) return controller.error(error);
        sent = true;
        controller.enqueue(bytes.slice());
      },
    },
    { highWaterMark: 0 },
  );
}
