/** Where the chunks of a body come from. */
interface Source {
  read(): Promise<{ readonly done?: boolean | undefined; readonly value?: Uint8Array | undefined }>;
  cancel(reason: unknown): Promise<unknown>;
}

/** `body` for a caller with a signal: an abort ends this stream, as it would end that of `fetch`, and no other one. */
export function abortable(body: ReadableStream<Uint8Array>, signal: AbortSignal): ReadableStream<Uint8Array> {
  return pumped(body.getReader(), signal);
}

/** A body as some packages have it. Its iterator can't end what nobody has begun to read. */
export interface NodeBody extends AsyncIterable<Uint8Array> {
  destroy?(): unknown;
}

/** A stream of Node, or anything else that can be iterated, as one of the platform. */
export function streamed(chunks: NodeBody): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  return pumped({
    read: () => iterator.next(),
    cancel: async () => (chunks.destroy === undefined ? iterator.return?.() : chunks.destroy()),
  });
}

function pumped(source: Source, signal?: AbortSignal): ReadableStream<Uint8Array> {
  let rest = (): void => {};
  return new ReadableStream(
    {
      type: 'bytes',
      start(controller) {
        if (signal === undefined) return;
        const stop = (): void => {
          controller.error(signal.reason);
          void source.cancel(signal.reason).catch(() => {});
        };
        if (signal.aborted) return stop();
        signal.addEventListener('abort', stop, { once: true });
        rest = () => signal.removeEventListener('abort', stop);
      },
      async pull(controller) {
        try {
          const chunk = await nextChunk(source);
          if (signal?.aborted === true) return;
          if (chunk !== undefined) return enqueue(controller, chunk);
          rest();
          close(controller);
        } catch (error) {
          rest();
          throw error;
        }
      },
      async cancel(reason) {
        rest();
        await source.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
}

/** The next chunk that is not empty; `undefined` at the end. A stream of bytes takes no empty ones. */
export async function nextChunk(source: Pick<Source, 'read'>): Promise<Uint8Array | undefined> {
  for (;;) {
    const { done, value } = await source.read();
    if (done === true) return undefined;
    if (value !== undefined && value.byteLength !== 0) return value;
  }
}

/** Hands a copy of `chunk` on: a stream of bytes takes away its memory, which may be part of a pool. */
export function enqueue(controller: ReadableByteStreamController, chunk: Uint8Array): void {
  controller.enqueue(new Uint8Array(chunk));
}

/** Ends a stream of bytes, also for a reader that waits with a buffer of its own. */
export function close(controller: ReadableByteStreamController): void {
  controller.close();
  controller.byobRequest?.respond(0);
}

/** A body that replays a broken one: the bytes that had arrived, then the failure. */
export function brokenBody(bytes: Uint8Array, error: unknown): ReadableStream<Uint8Array> {
  let sent = bytes.byteLength === 0;
  return pumped({
    async read() {
      if (sent) throw error;
      sent = true;
      return { value: bytes };
    },
    cancel: async () => {},
  });
}
