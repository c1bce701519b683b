import type { LoadContext, Loaded } from '../contracts.js';
import { isSoloflightError } from '../errors.js';
import { loaded } from '../read/loaded.js';
import { answerOf, loadedAnswer, renewed, type Received } from './answer.js';
import { NOTHING_SPECIAL, type Ask } from './ask.js';
import type { HttpCacheStatus } from './cache-status.js';
import { LoadFailure } from './load-failure.js';
import { Relay } from './relay.js';
import { isAsLongAsSaid, isPlain, rebuilt, respond, withBody } from './respond.js';
import { judge, maySurviveError } from './reusable.js';
import type { HttpSettings, Origin } from './settings.js';
import { storability, type Storability } from './storable.js';
import { asAnswer, type StoredAnswer, type StoredResponse } from './stored-response.js';
import { told } from './told.js';
import { canValidate, describes, isAbout, isConditional, originHeaders } from './validation.js';
import { matches } from './vary.js';

/** Statuses that a stored response may stand in for (RFC 5861 §4). */
const FAILURES = new Set([500, 502, 503, 504]);

/** Reasons not to store that the headers of a 304 don't show. */
const BY_BODY = new Set<string | undefined>(['too-large', 'timeout', 'incomplete']);

/** One caller's part in loading a key. */
export interface Errand {
  readonly settings: HttpSettings;
  readonly ask: Ask;
  readonly origin: Origin;
  readonly key: string;
  /** The name under which {@link Detours} knows the key. */
  readonly mark: string;
  /** Why the request goes to the origin. */
  readonly forwarded: NonNullable<HttpCacheStatus['forwarded']>;
  /** A `HEAD` that can only bring a stored `GET` up to date: its own answer must not be stored in that place. */
  readonly updatesOnly: boolean;
  /** Whether nobody waits for the response itself. */
  readonly background: boolean;
}

/**
 * One exchange with the origin, as the load of a flight.
 *
 * Its own caller gets the response as soon as the headers are there, its body streaming. The flight goes on until the
 * body is complete, so that followers and tiers get plain data.
 */
export class Exchange {
  /** The response for the caller whose errand this is. Pending for ever if somebody else leads. */
  readonly response: Promise<{ readonly response: Response }>;
  readonly #errand: Errand;
  #deliver!: (led: { readonly response: Response }) => void;
  #delivered = false;
  #relay: Relay | undefined;
  #isApart = false;
  #led: Promise<Loaded<StoredResponse>> | undefined;

  constructor(errand: Errand) {
    this.#errand = errand;
    this.response = new Promise((resolve) => (this.#deliver = resolve));
  }

  /** Runs the load: resolves with an answer or a detour. Rejects with a {@link LoadFailure}, unless it was aborted. */
  async run(load: LoadContext<StoredResponse>): Promise<Loaded<StoredResponse>> {
    const { settings, key } = this.#errand;
    const release = settings.detours.lead(key);
    try {
      const ended = await (this.#led = this.#load(load));
      settings.hear?.(this.#errand, undefined, ended.value);
      return ended;
    } finally {
      release();
      this.#noteTimeout(load.signal.reason);
    }
  }

  /** Whether the caller's own request is the one that is made. */
  get leads(): boolean {
    return this.#led !== undefined;
  }

  /**
   * The response for a leader whose flight took too long: its own request goes on without the others. `undefined` for a
   * follower. Rejects as {@link run} does.
   */
  outlast(): Promise<{ readonly response: Response } | undefined> | undefined {
    return this.#led === undefined ? undefined : Promise.race([this.response, this.#led.then(() => undefined)]);
  }

  /** Called when the flight is over. The caller's body may end: the next request finds what the flight left. */
  release(): void {
    this.#relay?.release();
  }

  async #load(load: LoadContext<StoredResponse>): Promise<Loaded<StoredResponse>> {
    const { ask, settings } = this.#errand;
    const known = this.#known(load);
    const requestedAt = settings.clock.now();
    let response: Response;
    try {
      response = await this.#ask(load.signal, known);
    } catch (cause) {
      throw new LoadFailure('network', settings.clock.now(), { cause, known });
    }
    const receivedAt = settings.clock.now();
    const { url } = ask;
    if (known !== undefined && this.#confirms(response, known)) {
      return this.#renew(known, { headers: response.headers, requestedAt, receivedAt }, response.status);
    }
    if (known !== undefined && FAILURES.has(response.status) && maySurviveError(known, ask, receivedAt)) {
      void response.body?.cancel().catch(() => {});
      throw new LoadFailure('status', receivedAt, { known });
    }
    const { status, statusText, headers } = response;
    return this.#receive(load, response, { url, status, statusText, headers, requestedAt, receivedAt }, known);
  }

  /** The stored answer that a conditional request may be made for. */
  #known(load: LoadContext<StoredResponse>): StoredAnswer | undefined {
    const { ask, settings } = this.#errand;
    const stale = asAnswer(load.stale?.value, settings.shared);
    if (stale === undefined || !matches(stale, ask.selectors)) return undefined;
    return stale.method === 'HEAD' && ask.method === 'GET' ? undefined : stale;
  }

  async #ask(abort: AbortSignal, known: StoredAnswer | undefined): Promise<Response> {
    const { ask, origin } = this.#errand;
    const controller = new AbortController();
    const leave = (): void => controller.abort(ask.signal?.reason);
    const stop = (): void => {
      if (!this.#goesOn(abort.reason)) return controller.abort(abort.reason);
      ask.signal?.addEventListener('abort', leave, { once: true });
    };
    if (abort.aborted) stop();
    // Aborts only until the response is there. After that, the reader of its body decides how long it takes.
    abort.addEventListener('abort', stop, { once: true });
    const { signal } = controller;
    const keepApart = (): void => void (this.#isApart = true);
    try {
      const conditional = known !== undefined && !ask.wants.reload && canValidate(known) ? known : undefined;
      const own = known === undefined && this.#keepsConditions();
      const headers = own ? ask.headers : originHeaders(ask.headers, conditional);
      const response = await origin({ headers, signal, keepApart });
      const isUseful = own ? !this.#wouldStore(response) : conditional && isAbout(conditional, response.headers);
      if (response.status !== 304 || isUseful === true) return response;
      return await origin({ headers: originHeaders(ask.headers, undefined), signal, keepApart });
    } finally {
      abort.removeEventListener('abort', stop);
      ask.signal?.removeEventListener('abort', leave);
    }
  }

  /** Whether the caller's conditions go to the origin: the answer can hardly be stored, and a 304 saves its body. */
  #keepsConditions(): boolean {
    const { ask, settings, mark, background } = this.#errand;
    if (background || !isConditional(ask.headers)) return false;
    return settings.detours.why(mark) !== undefined || (settings.shared && ask.credentialed);
  }

  /** Whether a 304 to the caller's own conditions is about something that the cache could keep, if it had it. */
  #wouldStore({ headers }: Response): boolean {
    const { ask, settings, mark } = this.#errand;
    if (BY_BODY.has(settings.detours.why(mark))) return false;
    const now = settings.clock.now();
    return storability(ask, { status: 200, headers, requestedAt: now, receivedAt: now }, settings).store;
  }

  #confirms(response: Response, known: StoredAnswer): boolean {
    if (response.status === 304) return true;
    return this.#errand.updatesOnly && response.status === known.status && describes(response.headers, known);
  }

  /** The stored answer, updated by the origin's confirmation (RFC 9111 §4.3.4). */
  #renew(
    known: StoredAnswer,
    received: Pick<Received, 'headers' | 'requestedAt' | 'receivedAt'>,
    forwardStatus: number,
  ): Loaded<StoredResponse> {
    const { ask, settings } = this.#errand;
    const { answer, storable } = renewed(ask, known, received, settings);
    const fresh = this.#isShareable(storable, answer);
    const status = this.#status({ forwardStatus, stored: storable.store, freshFor: fresh });
    const response = respond(answer, ask, status, received.receivedAt);
    for (const cookie of received.headers.getSetCookie()) response.headers.append('set-cookie', cookie);
    this.#hand(response);
    return storable.store ? loadedAnswer(answer, storable.keep, settings) : detour(storable.why);
  }

  async #receive(
    load: LoadContext<StoredResponse>,
    response: Response,
    received: Received,
    known: StoredAnswer | undefined,
  ): Promise<Loaded<StoredResponse>> {
    const { ask, settings } = this.#errand;
    const storable = this.#storable(response, received);
    const { status: forwardStatus } = response;
    if (this.#isApart) {
      this.#status({ forwardStatus, detail: 'apart' });
      this.#hand(response);
      return this.#turnAway('apart', received, known);
    }
    if (!storable.store) {
      const own = rebuilt(response, { status: this.#status({ forwardStatus, detail: storable.why }) });
      this.#hand(withBody(own, ask.signal));
      return this.#turnAway(storable.why, received, known);
    }
    const make = (body: Uint8Array): StoredAnswer => answerOf(ask, received, body, storable, known, settings);
    const freshFor = this.#isShareable(storable, make(new Uint8Array()));
    load.signal.addEventListener('abort', () => this.#noteTimeout(load.signal.reason), { once: true });
    this.#split(response, this.#status({ forwardStatus, stored: isSized(response), freshFor }));
    const read = this.#relay === undefined ? NOTHING : await this.#relay.collect(load.signal);
    if (load.signal.aborted) throw load.signal.reason;
    if (read.end === 'too-large') return this.#turnAway('too-large', received, known);
    if (read.end === 'broken') {
      const { receivedAt: at } = received;
      throw new LoadFailure('broken', at, { cause: read.error, known, partial: make(read.bytes) });
    }
    if (ask.method !== 'HEAD' && !isAsLongAsSaid(received.headers, read.bytes.byteLength))
      return this.#turnAway('incomplete', received, known);
    return loadedAnswer(make(read.bytes), storable.keep, settings);
  }

  #storable(response: Response, received: Received): Storability {
    const { ask, settings, updatesOnly } = this.#errand;
    if (!isPlain(response)) return { store: false, why: 'opaque' };
    if (response.redirected) return { store: false, why: 'redirected' };
    if (updatesOnly) return { store: false, why: 'method' };
    const length = Number(received.headers.get('content-length') ?? 0);
    if (ask.method !== 'HEAD' && length > settings.maxBodySize) return { store: false, why: 'too-large' };
    return storability(ask, received, settings);
  }

  /** Marks the key if its body outlasts the deadline of flights: waiting for it is no use, though the origin is well. */
  #noteTimeout(reason: unknown): void {
    if (isSoloflightError(reason, 'SOLOFLIGHT_FLIGHT_TIMEOUT'))
      this.#errand.settings.detours.mark(this.#errand.mark, 'timeout');
  }

  /** Whether the caller's own request outlives the flight that ended for `reason`, as it would without a cache. */
  #goesOn(reason: unknown): boolean {
    const { ask, background } = this.#errand;
    return isSoloflightError(reason, 'SOLOFLIGHT_FLIGHT_TIMEOUT') && !background && ask.signal?.aborted !== true;
  }

  /** Hands the caller its response, whose body arrives while the flight collects it. */
  #split(response: Response, status: string | undefined): void {
    const { ask, settings, background } = this.#errand;
    const { body } = response;
    if (body !== null) this.#relay = new Relay(body, settings.maxBodySize, background ? undefined : ask.signal);
    this.#hand(rebuilt(response, { body: this.#relay?.stream ?? null, status }));
  }

  /** Remembers whether followers can be served with this answer. Returns how much longer it is fresh if they can. */
  #isShareable(storable: Storability, answer: StoredAnswer): number | undefined {
    const { settings, mark } = this.#errand;
    const now = settings.clock.now();
    const use = storable.store ? judge(answer, NOTHING_SPECIAL, now).use : undefined;
    if (use === undefined) settings.detours.mark(mark, storable.store ? 'stale' : storable.why);
    if (use !== undefined) settings.detours.unmark(mark);
    return use === undefined ? undefined : Math.floor(answer.rules.lifetime - answer.initialAge);
  }

  /** Ends the load with an answer for its own caller only. The stored one is outdated, unless this one reports a failure. */
  #turnAway(why: string, { status, receivedAt }: Received, known: StoredAnswer | undefined): Loaded<StoredResponse> {
    const { settings, mark, updatesOnly } = this.#errand;
    // A 304 says nothing new about the body.
    const reason = (status === 304 ? settings.detours.why(mark) : undefined) ?? why;
    if (!updatesOnly) settings.detours.mark(mark, reason);
    const isFailure = status >= 400 && status !== 404 && status !== 410;
    if (known !== undefined && isFailure) throw new LoadFailure('detour', receivedAt, { known });
    return detour(why);
  }

  #status(status: HttpCacheStatus): string | undefined {
    const { settings, forwarded } = this.#errand;
    return told(settings, this.#errand, { forwarded, ...status });
  }

  #hand(response: Response): void {
    if (this.#delivered) return;
    this.#delivered = true;
    if (this.#errand.background) void response.body?.cancel().catch(() => {});
    else this.#deliver({ response });
  }
}

const NOTHING = Object.freeze({ end: 'complete', bytes: new Uint8Array() } as const);

/** Whether the size of the body is known before it is there, and so that it will be stored. */
function isSized({ body, headers }: Response): boolean {
  return body === null || (headers.has('content-length') && !headers.has('content-encoding'));
}

function detour(why: string): Loaded<StoredResponse> {
  return loaded<StoredResponse>({ kind: 'detour', why }, { ttl: 0, store: false });
}
