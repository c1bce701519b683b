import { expect } from 'vitest';

import { cachedFetch } from '../../src/http/index.js';
import { mapStorage } from '../../src/index.js';
import { manualClock } from '../../src/testing/index.js';

const URL = 'http://origin/';

/** Lets everything that can go on do so; streams need more than microtasks. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The headers of each kind of answer. Those under `personal` are for their caller alone. */
export const KINDS = {
  shared: { 'cache-control': 'max-age=5' },
  public: { 'cache-control': 'public, max-age=5, stale-while-revalidate=5' },
  varied: { 'cache-control': 'public, max-age=5, stale-if-error=50', vary: 'accept-language' },
  checked: { 'cache-control': 'public, no-cache' },
  private: { 'cache-control': 'private, max-age=5' },
  secret: { 'cache-control': 'no-store' },
  cookie: { 'cache-control': 'max-age=5', 'set-cookie': 'id=1' },
  silent: {},
} as const;
const PERSONAL: readonly Kind[] = ['private', 'secret', 'cookie'];
/** Kinds for everybody, unless the caller gave credentials. A `silent` one is shared once the origin confirmed it. */
const IMPLICIT: readonly Kind[] = ['shared', 'silent'];
export type Kind = keyof typeof KINDS;

/** One step of a scenario. */
export type Step =
  | { readonly do: 'get'; readonly language: string; readonly auth: boolean; readonly noCache: boolean }
  | { readonly do: 'post' | 'advance' }
  | { readonly do: 'answer'; readonly which: number; readonly kind: Kind }
  | { readonly do: 'fail' | 'error' | 'abort'; readonly which: number };

interface Body {
  readonly kind: Kind;
  /** The caller whose request reached the origin, its language and credentials, and the version at that time. */
  readonly caller: string;
  readonly language: string;
  readonly auth: boolean;
  readonly version: number;
}

/** One origin whose answers wait for the test, and the callers before it. */
export class HttpWorld {
  readonly #clock = manualClock();
  readonly #pending: ((kind: Kind | 'fail' | 'error') => void)[] = [];
  readonly #callers: Promise<void>[] = [];
  readonly #aborts: AbortController[] = [];
  readonly #fetch: ReturnType<typeof cachedFetch>;
  #version = 1;
  /** The version that every later caller must see at least. */
  #published = 1;

  constructor(stored: boolean) {
    this.#fetch = cachedFetch({
      fetch: (input, init) => this.#origin(new Request(input, init)),
      clock: this.#clock,
      cache: stored ? { storage: mapStorage() } : {},
    });
  }

  take(step: Step): void {
    if (step.do === 'get') this.#watch(this.#call(step));
    if (step.do === 'post') this.#watch(this.#change());
    if (step.do === 'advance') this.#clock.advance(3_000);
    if (step.do === 'abort') this.#aborts[step.which % Math.max(1, this.#aborts.length)]?.abort(new Error('left'));
    if (step.do === 'answer') this.#pending.splice(step.which % Math.max(1, this.#pending.length), 1)[0]?.(step.kind);
    if (step.do === 'fail' || step.do === 'error')
      this.#pending.splice(step.which % Math.max(1, this.#pending.length), 1)[0]?.(step.do);
  }

  /** Collects the caller's failure, which is reported at the end. */
  #watch(caller: Promise<void>): void {
    caller.catch(() => {});
    this.#callers.push(caller);
  }

  async end(): Promise<void> {
    const state = { isOver: false };
    const over = Promise.allSettled(this.#callers).finally(() => (state.isOver = true));
    for (let turn = 0; turn < 200 && !state.isOver; turn += 1) {
      for (const answer of this.#pending.splice(0)) answer('shared');
      await settled();
    }
    expect(state.isOver).toBe(true);
    for (const outcome of await over) if (outcome.status === 'rejected') throw outcome.reason;
    for (const answer of this.#pending.splice(0)) answer('shared');
    await this.#fetch.cache.idle();
  }

  async #call({ language, auth, noCache }: Extract<Step, { do: 'get' }>): Promise<void> {
    const caller = String(this.#aborts.length);
    const atLeast = this.#published;
    const controller = new AbortController();
    this.#aborts.push(controller);
    const headers = {
      'accept-language': language,
      'x-caller': caller,
      ...(auth ? { authorization: caller } : {}),
      ...(noCache ? { 'cache-control': 'no-cache' } : {}),
    };
    let body: Body;
    try {
      const response = await this.#fetch(URL, { headers, signal: controller.signal });
      if (response.status === 503) return;
      body = (await response.json()) as Body;
      if (body.kind === 'cookie')
        expect(response.headers.get('set-cookie')).toBe(body.caller === caller ? 'id=1' : null);
    } catch (error) {
      expect((error as Error).message).toBe(controller.signal.aborted ? 'left' : 'unreachable');
      return;
    }
    const isPersonal = PERSONAL.includes(body.kind) || (body.auth && IMPLICIT.includes(body.kind));
    if (isPersonal) expect(body.caller).toBe(caller);
    if (body.kind === 'varied') expect(body.language).toBe(language);
    expect(body.version).toBeGreaterThanOrEqual(atLeast);
  }

  async #change(): Promise<void> {
    await this.#fetch(URL, { method: 'POST' });
    this.#published = Math.max(this.#published, this.#version);
  }

  async #origin(request: Request): Promise<Response> {
    if (request.method === 'POST') {
      this.#version += 1;
      return new Response(null, { status: 204 });
    }
    const version = this.#version;
    const kind = await new Promise<Kind | 'fail' | 'error'>((resolve, reject) => {
      this.#pending.push(resolve);
      request.signal.addEventListener('abort', () => reject(request.signal.reason as Error));
    });
    if (kind === 'fail') throw new Error('unreachable');
    if (kind === 'error') return new Response('', { status: 503 });
    const headers = { ...KINDS[kind], etag: `"${version}"` };
    if (request.headers.get('if-none-match') === headers.etag)
      return new Response(null, { status: 304, headers: { etag: headers.etag } });
    const body: Body = {
      kind,
      version,
      caller: request.headers.get('x-caller')!,
      language: request.headers.get('accept-language')!,
      auth: request.headers.has('authorization'),
    };
    return Response.json(body, { headers });
  }
}
