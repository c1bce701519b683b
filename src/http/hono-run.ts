import { addVisitor } from './visitor-headers.js';

/** The part of a Hono context that is used here. */
export interface HonoContextLike {
  readonly req: { raw: Request };
  /** The error that a handler threw, if one did. */
  readonly error: unknown;
  /** Whether the request has its answer. */
  readonly finalized: boolean;
  get res(): Response;
  set res(response: Response | undefined);
  /** A response with the headers that were set so far. */
  body(data: null): Response;
}

/** One request of a Hono app on its way through the routes behind the cache, if it comes to that. */
export class Run {
  /** The headers that were set for this visitor before. */
  readonly outside: Headers;
  /**
   * Stands for an answer that is for this request alone: the page of an error, of the route or of a middleware outside
   * that gave up waiting. The page itself stays where it is, unread, since somebody may be sending it already.
   */
  failed: Response | undefined;
  readonly #context: HonoContextLike;
  readonly #next: () => Promise<void>;
  #thrown: { readonly error: unknown } | undefined;
  #isRun = false;

  constructor(context: HonoContextLike, next: () => Promise<void>) {
    this.#context = context;
    this.#next = next;
    // Unlike `context.res`, this leaves no trace in the context.
    this.outside = new Headers(context.body(null).headers);
  }

  /** Runs the route for `request`, and returns its answer, or {@link failed}. */
  async answer(request: Request): Promise<Response> {
    const context = this.#context;
    // Somebody outside has given up meanwhile: the route's answer could reach nobody.
    if (context.finalized) return this.#fail(context.res.status);
    this.#isRun = true;
    const { raw } = context.req;
    context.req.raw = request;
    try {
      await this.#next();
    } catch (error) {
      this.#thrown = { error };
      return this.#fail(500);
    } finally {
      context.req.raw = raw;
    }
    const { res, error } = context;
    return error !== undefined || res.status >= 500 || isTaken(res) ? this.#fail(res.status) : res;
  }

  /** Gives the request its answer, as the result of a middleware. */
  end(response: Response): Response | void {
    if (response === this.failed) {
      if (this.#thrown !== undefined) throw this.#thrown.error;
      return;
    }
    addVisitor(response, this.outside);
    if (!this.#isRun) return response;
    // Otherwise Hono would merge the headers of the replaced response into this one.
    this.#context.res = undefined;
    this.#context.res = response;
  }

  #fail(status: number): Response {
    return (this.failed = new Response(null, { status: status < 200 ? 500 : status }));
  }
}

/** Whether somebody reads `response` already, or has read it. */
function isTaken(response: Response): boolean {
  try {
    return response.bodyUsed || response.body?.locked === true;
  } catch {
    // Hono's server for Node throws here once it has sent the response.
    return true;
  }
}
