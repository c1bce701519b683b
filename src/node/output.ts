import { fieldsIn, webHeaders, type NodeRequest, type NodeResponse } from './node-types.js';

/** How much a route may write ahead of its reader, in bytes. */
const AHEAD = 65_536;

/** Statuses of responses without a body (RFC 9110 §6.4.1). */
const BODILESS = new Set([204, 205, 304]);

const NOTHING = new Uint8Array();

/** Events that tell a route that its client has gone. */
const OF_LEAVING = new Set(['aborted', 'close', 'error']);

/** The beginning of a route's response. */
export interface Head {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Headers;
  readonly body: ReadableStream<Uint8Array> | null;
}

/**
 * What a route writes to its response, caught before it reaches the socket.
 *
 * The route goes on with the response of Node that it has, and can't tell the difference: not even that its client has
 * gone, as long as others wait for what it writes.
 */
export class Output {
  /** Rejects if the route destroys the response first. */
  readonly head: Promise<Head>;
  readonly #request: NodeRequest;
  readonly #response: NodeResponse;
  /** Called once when the client goes. */
  readonly #onGone: () => void;
  #say!: (head: Head) => void;
  #refuse!: (error: Error) => void;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #isSaid = false;
  #isEnded = false;
  #isFull = false;
  #isFlushed = false;
  #flush = (): void => {};
  #isDraining = false;
  #waiting: (() => void)[] = [];
  readonly #undo: (() => void)[] = [];
  /** The news that the client has gone, while the route is not told; `undefined` once it may know. */
  #held: (() => void)[] | undefined = [];

  constructor(request: NodeRequest, response: NodeResponse, onGone: () => void) {
    this.#request = request;
    this.#response = response;
    this.#onGone = onGone;
    this.head = new Promise((resolve, reject) => {
      this.#say = resolve;
      this.#refuse = reject;
    });
    // A route that fails before anybody waits for it is told by its own error.
    this.head.catch(() => {});
    this.#catch();
  }

  /** Whether an event `drain` of the response is the route's, not the socket's. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** `flush` is to be called when the route wants its head to be sent before its body; maybe it has wanted so already. */
  onFlush(flush: () => void): void {
    this.#flush = flush;
    if (this.#isFlushed) flush();
  }

  /** Lets the route know what became of its client: nobody else waits. */
  letGo(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const tell of held) tell();
  }

  /** Gives the response back as it was before, for somebody else to answer. */
  release(): void {
    this.letGo();
    this.#isEnded = true;
    for (const undo of this.#undo.splice(0)) undo();
  }

  /** Ends the body with the error of a route that failed after it had begun to answer. */
  fail(error: unknown): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#refuse(error instanceof Error ? error : new Error('The route failed', { cause: error }));
    this.#controller?.error(error);
    this.letGo();
  }

  #catch(): void {
    const response = this.#response;
    const destroy = response.destroy.bind(response);
    const own = {
      writeHead: (status: number, ...rest: unknown[]) => {
        this.#begin(status, rest);
        return response;
      },
      _implicitHeader: () => this.#implicit(),
      flushHeaders: () => {
        this.#implicit();
        this.#isFlushed = true;
        this.#flush();
      },
      write: (chunk: unknown, ...rest: unknown[]) => this.#write(chunk, rest),
      end: (...rest: unknown[]) => {
        this.#end(rest);
        return response;
      },
      destroy: (error?: Error) => {
        this.fail(error ?? new Error('The route destroyed its response'));
        return destroy(error);
      },
      emit: this.#holding(response),
    };
    const states = {
      headersSent: () => this.#isSaid,
      writableEnded: () => this.#isEnded,
    };
    for (const [name, value] of Object.entries(own)) this.#replace(response, name, { value, writable: true });
    for (const [name, get] of Object.entries(states)) this.#replace(response, name, { get });
    this.#replace(this.#request, 'emit', { value: this.#holding(this.#request), writable: true });
  }

  #replace(target: object, name: string, own: PropertyDescriptor): void {
    const before = Object.getOwnPropertyDescriptor(target, name);
    Object.defineProperty(target, name, { ...own, configurable: true });
    this.#undo.push(() => {
      if (before !== undefined) Object.defineProperty(target, name, before);
      else Reflect.deleteProperty(target, name);
    });
  }

  /** An `emit` that keeps to itself that the client has gone. */
  #holding(emitter: NodeRequest | NodeResponse): NodeRequest['emit'] {
    const emit = emitter.emit.bind(emitter);
    return (event, ...args) => {
      const isNews = event === 'aborted' || (OF_LEAVING.has(event) && isCut(this.#response));
      if (isNews && isCutHere(this.#request)) this.fail(new Error('The route destroyed its connection'));
      if (isNews) this.#onGone();
      if (!isNews || this.#isEnded || this.#held === undefined) return emit(event, ...args);
      this.#held.push(() => {
        // An error that nobody listens for any more would end the process.
        if (event !== 'error' || emitter.listenerCount(event) > 0) emit(event, ...args);
      });
      return true;
    };
  }

  /** By the method, as Node does: sessions, compression and others replace it to set headers at the last moment. */
  #implicit(): void {
    if (!this.#isSaid) this.#response.writeHead(this.#response.statusCode);
  }

  #begin(code: number, rest: readonly unknown[]): void {
    if (this.#isSaid) return;
    const response = this.#response;
    const [reason] = rest;
    const status = statusOf(code);
    if (/[^\t\x20-\x7e\x80-\xff]/.test(typeof reason === 'string' ? reason : (response.statusMessage ?? '')))
      throw wrong(TypeError, 'ERR_INVALID_CHAR', 'Invalid character in statusMessage');
    const fields = typeof reason === 'string' ? rest[1] : reason;
    for (const [name, value] of fieldsIn(fields)) response.setHeader(name, value);
    // Only now: a route that is told of an error can still answer otherwise.
    this.#isSaid = true;
    response.statusCode = status;
    const { statusMessage } = response;
    const hasBody = this.#request.method !== 'HEAD' && !BODILESS.has(status);
    this.#say({
      status,
      statusText: typeof reason === 'string' ? reason : (statusMessage ?? ''),
      headers: webHeaders(response.getHeaders()),
      body: hasBody ? this.#body() : null,
    });
  }

  #body(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => void (this.#controller = controller),
        pull: () => this.#drain(),
        cancel: () => {
          this.#controller = undefined;
          this.#drain();
          this.letGo();
        },
      },
      new ByteLengthQueuingStrategy({ highWaterMark: AHEAD }),
    );
  }

  /** As `write` of a response: `false` asks to wait for `drain`. */
  #write(chunk: unknown, rest: readonly unknown[]): boolean {
    const bytes = bytesOf(chunk, rest[0]);
    this.#implicit();
    this.#put(bytes);
    this.#isFull = (this.#controller?.desiredSize ?? 1) <= 0;
    const done = callbackIn(rest);
    if (done !== undefined && this.#isFull) this.#waiting.push(done);
    else if (done !== undefined) void Promise.resolve().then(done);
    return !this.#isFull;
  }

  #end(all: readonly unknown[]): void {
    const [first, ...rest] = all;
    const done = callbackIn(all);
    if (this.#isEnded) {
      if (done !== undefined) this.#response.once('finish', done);
      return;
    }
    const bytes = typeof first === 'function' ? NOTHING : bytesOf(first ?? '', rest[0]);
    this.#size(bytes);
    this.#implicit();
    this.#put(bytes);
    if (done !== undefined) this.#response.once('finish', done);
    this.#isEnded = true;
    this.#controller?.close();
    this.letGo();
  }

  /** Gives a body that comes in one piece its length, as Node does. */
  #size(bytes: Uint8Array): void {
    const response = this.#response;
    const isBodiless = this.#request.method === 'HEAD' || BODILESS.has(response.statusCode);
    if (this.#isSaid || isBodiless) return;
    const names = response.getHeaderNames();
    if (names.includes('content-length') || names.includes('transfer-encoding')) return;
    response.setHeader('content-length', String(bytes.byteLength));
  }

  #put(bytes: Uint8Array): void {
    // A route that outlived its own answer: Node tells it by an event that ends the process where nobody listens.
    if (this.#isEnded || this.#controller === undefined) return;
    if (bytes.byteLength > 0) this.#controller.enqueue(bytes);
  }

  /** The reader has made room. */
  #drain(): void {
    for (const done of this.#waiting.splice(0)) done();
    if (!this.#isFull) return;
    this.#isFull = false;
    this.#isDraining = true;
    try {
      this.#response.emit('drain');
    } finally {
      this.#isDraining = false;
    }
  }
}

/** Whether the connection of `response` was lost before its end. */
export function isCut({ destroyed, writableFinished }: NodeResponse): boolean {
  return destroyed && !writableFinished;
}

/** Whether the connection was lost by a `destroy` on this side, and not because its client went. */
function isCutHere(request: NodeRequest): boolean {
  const { destroyed, readableEnded, errored } = request.socket as {
    readonly destroyed?: boolean;
    readonly readableEnded?: boolean;
    readonly errored?: Error | null;
  };
  return destroyed === true && readableEnded === false && (errored ?? null) === null;
}

function callbackIn(rest: readonly unknown[]): (() => void) | undefined {
  return rest.find((one): one is () => void => typeof one === 'function');
}

/** An error as Node gives it for what a response can't take. */
function wrong(kind: typeof TypeError | typeof RangeError, code: string, message: string): Error {
  return Object.assign(new kind(message), { code });
}

/** As Node reads a status, which may be a text. */
function statusOf(code: unknown): number {
  const status = Math.trunc(Number(code));
  if (status >= 100 && status <= 999) return status;
  throw wrong(RangeError, 'ERR_HTTP_INVALID_STATUS_CODE', `Invalid status code: ${String(code)}`);
}

/** A copy: who writes may use the memory again. */
function bytesOf(chunk: unknown, encoding: unknown): Uint8Array {
  if (ArrayBuffer.isView(chunk)) {
    const { buffer, byteOffset, byteLength } = chunk;
    return new Uint8Array(buffer, byteOffset, byteLength).slice();
  }
  // A number or a list would be taken for the length of an empty array.
  if (typeof chunk !== 'string')
    throw wrong(TypeError, 'ERR_INVALID_ARG_TYPE', 'A response is written as text or bytes');
  const { Buffer } = globalThis as { readonly Buffer?: TextBuffers };
  if (Buffer === undefined) return new TextEncoder().encode(chunk);
  return new Uint8Array(Buffer.from(chunk, typeof encoding === 'string' ? encoding : 'utf8'));
}

/** `Buffer` of Node, as far as it turns text into bytes. */
interface TextBuffers {
  from(text: string, encoding: string): Uint8Array;
}
