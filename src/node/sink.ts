import type { NodeResponse } from './node-types.js';
import type { Head, Output } from './output.js';

/** The way to the socket, as it is before an {@link Output} stands in it. */
export class Sink {
  readonly #response: NodeResponse;
  readonly #writeHead: NodeResponse['writeHead'];
  readonly #flushHeaders: NodeResponse['flushHeaders'];
  readonly #write: NodeResponse['write'];
  readonly #end: NodeResponse['end'];
  readonly #destroy: NodeResponse['destroy'];

  constructor(response: NodeResponse) {
    this.#response = response;
    this.#writeHead = response.writeHead.bind(response);
    this.#flushHeaders = response.flushHeaders.bind(response);
    this.#write = response.write.bind(response);
    this.#end = response.end.bind(response);
    this.#destroy = response.destroy.bind(response);
  }

  /** Sends `head` in place of all fields that were set so far, and its body as fast as the client takes it. */
  async send(head: Head, output: Output | undefined): Promise<void> {
    const response = this.#response;
    for (const name of response.getHeaderNames()) response.removeHeader(name);
    for (const name of new Set(head.headers.keys()))
      response.setHeader(name, name === 'set-cookie' ? head.headers.getSetCookie() : head.headers.get(name)!);
    // The second version of HTTP has no reason phrases.
    if (head.statusText === '') this.#writeHead(head.status);
    else this.#writeHead(head.status, head.statusText);
    output?.onFlush(this.#flushHeaders);
    const reader = head.body?.getReader();
    try {
      for (;;) {
        const chunk = await reader?.read();
        if (chunk === undefined || chunk.done) break;
        if (!this.#write(chunk.value)) await this.#drained(output);
      }
      this.#end();
    } catch (error) {
      // What is half sent can only be cut off, as the route would do.
      void reader?.cancel(error).catch(() => {});
      this.#destroy(error instanceof Error ? error : new Error('The body broke off', { cause: error }));
    }
  }

  /** Waits until the client takes more, or has gone. */
  #drained(output: Output | undefined): Promise<void> {
    const response = this.#response;
    return new Promise((resolve) => {
      const look = (): void => {
        if (output?.isDraining === true) return;
        response.removeListener('drain', look);
        response.removeListener('close', look);
        resolve();
      };
      response.on('drain', look);
      response.on('close', look);
      if (response.destroyed) look();
    });
  }
}
