import { addVisitor } from '../http/visitor-headers.js';
import { webHeaders, type NodeRequest, type NodeResponse } from './node-types.js';
import { isCut, Output, type Head } from './output.js';
import { Sink } from './sink.js';

/** What a framework has that `node:http` has not. */
export interface RunOptions {
  /** Further headers that were set for this visitor before. */
  readonly headers?: ReturnType<NodeResponse['getHeaders']>;
  /** Called before an answer is sent that the route has not given. */
  readonly takeOver?: () => void;
}

/** One request on its way through the routes behind the cache, if it comes to that. */
export class NodeRun {
  /** The headers that were set for this visitor before. */
  readonly outside: Headers;
  /** Stands for an answer that is for this request alone: one that reports a failure, or is none for the platform. */
  failed: Response | undefined;
  /** Aborted when the client goes before it has everything. */
  readonly signal: AbortSignal;
  readonly #gone = new AbortController();
  readonly #request: NodeRequest;
  readonly #response: NodeResponse;
  readonly #next: () => unknown;
  readonly #sink: Sink;
  readonly #takeOver: (() => void) | undefined;
  #output: Output | undefined;
  #head: Head | undefined;
  #thrown: { readonly error: unknown } | undefined;

  constructor(request: NodeRequest, response: NodeResponse, next: () => unknown, more: RunOptions = {}) {
    this.#request = request;
    this.#response = response;
    this.#next = next;
    this.#sink = new Sink(response);
    this.outside = webHeaders({ ...response.getHeaders(), ...more.headers });
    this.#takeOver = more.takeOver;
    this.signal = this.#gone.signal;
    response.once('close', this.#leave);
  }

  /** Whether the route has been asked to answer. */
  get isRun(): boolean {
    return this.#output !== undefined;
  }

  /**
   * Runs the route, for a request with `headers` if they are given, and returns its answer, or {@link failed}. When
   * `signal` aborts, nobody waits for it any more.
   */
  async answer(headers: Headers | undefined, signal: AbortSignal | undefined): Promise<Response> {
    // A route can't answer twice; what it said first was for this request.
    if (this.#output !== undefined) return this.#fail(this.#head?.status ?? 500);
    if (signal?.aborted === true) throw signal.reason;
    const request = this.#request;
    const output = (this.#output = new Output(request, this.#response, this.#leave));
    const stop = (): void => output.fail(signal?.reason);
    signal?.addEventListener('abort', stop, { once: true });
    // Nobody else waits for what goes around the cache.
    const restore = headers === undefined ? output.letGo() : withHeaders(request, headers);
    try {
      this.#start(output);
      const head = (this.#head = await output.head);
      // What goes around the cache is for this request anyway.
      const [least, most] = headers === undefined ? [200, 599] : [200, 499];
      return head.status < least || head.status > most ? this.#fail(head.status) : asResponse(head);
    } catch {
      signal?.throwIfAborted();
      // It threw, or cut its client off: others run the route themselves.
      return this.#fail(500);
    } finally {
      restore?.();
      signal?.removeEventListener('abort', stop);
    }
  }

  /** Gives the request its answer. */
  async end(response: Response): Promise<void> {
    if (this.#thrown !== undefined && response === this.failed) {
      this.#output?.release();
      throw this.#thrown.error;
    }
    if (isCut(this.#response)) return void response.body?.cancel().catch(() => {});
    if (response === this.failed && this.#head !== undefined) return this.#sink.send(this.#head, this.#output);
    if (this.#output === undefined) this.#takeOver?.();
    addVisitor(response, this.#left());
    await this.#sink.send(response, this.#output);
  }

  /** What was set for this visitor, without what the route has taken back. */
  #left(): Headers {
    const left = new Headers(this.outside);
    const head = this.#head;
    if (head !== undefined) for (const name of this.outside.keys()) if (!head.headers.has(name)) left.delete(name);
    return left;
  }

  /** Leaves the request to somebody else, without an answer. */
  abandon(): void {
    this.#output?.release();
    const response = this.#response;
    for (const name of response.getHeaderNames()) response.removeHeader(name);
    for (const [name, value] of this.outside) response.setHeader(name, value);
  }

  readonly #leave = (): void => {
    if (isCut(this.#response)) this.#gone.abort(new Error('The client has gone'));
  };

  #start(output: Output): void {
    const fail = (error: unknown): void => {
      this.#thrown ??= { error };
      output.fail(error);
    };
    try {
      void Promise.resolve(this.#next()).catch(fail);
    } catch (error) {
      fail(error);
    }
  }

  #fail(status: number): Response {
    return (this.failed = new Response(null, { status: status < 200 || status > 599 ? 500 : status }));
  }
}

function asResponse({ status, statusText, headers, body }: Head): Response {
  return new Response(body, { status, statusText, headers });
}

/** Shows the route other headers than the request's own. Returns what takes them away again. */
function withHeaders(request: NodeRequest, headers: Headers): () => void {
  const own = Object.getOwnPropertyDescriptor(request, 'headers');
  // Of the second version of HTTP: routes read the host there.
  const pseudo = Object.entries(request.headers).filter(([name]) => name.startsWith(':'));
  const value = Object.fromEntries([...pseudo, ...headers]);
  Object.defineProperty(request, 'headers', { value, configurable: true, enumerable: true, writable: true });
  return () => {
    if (own === undefined) Reflect.deleteProperty(request, 'headers');
    else Object.defineProperty(request, 'headers', own);
  };
}
