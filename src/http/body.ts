/** `body` for a caller with a signal: an abort ends this stream, as it would end that of `fetch`, and no other one. */
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

/** A body that replays a broken one: the bytes that had arrived, then the failure. */
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
