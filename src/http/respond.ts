import type { Ask } from './ask.js';
import { abortable } from './body.js';
import type { HttpSettings, Told } from './settings.js';
import { ageOf, type StoredAnswer } from './stored-response.js';
import { told } from './told.js';

/** Statuses with which a `Response` may have no body, not even an empty one. */
const BODILESS = new Set([101, 103, 204, 205, 304]);

/** The parts of a response that its constructor can't set. */
interface Origin {
  readonly url: string;
  readonly redirected: boolean;
  /** A reason phrase that the constructor refuses, since it is beyond latin-1. */
  readonly statusText?: string;
}

/** Reason phrases that the constructor of a response takes. */
const PHRASE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** A response of its own for one caller, made from a stored one. */
export function respond(
  answer: StoredAnswer,
  { method, part }: Pick<Ask, 'method' | 'part'>,
  status: string | undefined,
  now: number,
): Response {
  const headers = new Headers(answer.headers as [string, string][]);
  const { status: code, statusText, body } = part?.of(answer, headers, now) ?? answer;
  headers.set('age', String(Math.floor(ageOf(answer, now) / 1_000)));
  if (status !== undefined) headers.append('cache-status', status);
  // The constructor copies the bytes, so that no caller can write into another's.
  const bytes = method === 'HEAD' || BODILESS.has(code) ? null : (body as Uint8Array<ArrayBuffer>);
  return built(bytes, { status: code, statusText, headers }, { url: answer.url, redirected: false });
}

/** Under this name, a response keeps the one that it was made of. */
const ORIGINAL = Symbol('original');

/** `response` with another body or a `Cache-Status`, and otherwise as it was. */
export function rebuilt(
  response: Response,
  change: { readonly body?: ReadableStream<Uint8Array> | null; readonly status?: string | undefined },
): Response {
  if (!isPlain(response)) return response;
  const headers = new Headers(response.headers);
  if (change.status !== undefined) headers.append('cache-status', change.status);
  const body = 'body' in change ? (change.body ?? null) : response.body;
  const { status, statusText, url, redirected } = response;
  const own = built(BODILESS.has(status) ? null : body, { status, statusText, headers }, { url, redirected });
  // Undici cancels the body of a response that it made once that is collected, whoever else has the stream.
  Object.defineProperty(own, ORIGINAL, { value: response });
  return own;
}

function built(
  body: ConstructorParameters<typeof Response>[0],
  init: { readonly status: number; readonly statusText: string; readonly headers: Headers },
  origin: Origin,
): Response {
  const { statusText } = init;
  if (PHRASE.test(statusText)) return dressed(new Response(body, init), origin);
  return dressed(new Response(body, { ...init, statusText: '' }), { ...origin, statusText });
}

/** `response` with another body, or one that ends when its caller aborts. */
export function withBody(
  response: Response,
  signal: AbortSignal | undefined,
  body: ReadableStream<Uint8Array> | null = response.body,
): Response {
  if (body === null || (signal === undefined && body === response.body)) return response;
  return isPlain(response)
    ? rebuilt(response, { body: signal === undefined ? body : abortable(body, signal) })
    : response;
}

/** Whether `response` can be built anew: opaque ones, errors and upgrades can't. */
export function isPlain({ status, type, webSocket }: Response & { readonly webSocket?: unknown }): boolean {
  return (
    status >= 200 && status <= 599 && type !== 'opaque' && type !== 'opaqueredirect' && (webSocket ?? null) === null
  );
}

/** The answer to a caller whose own copy is as good as this response (RFC 9110 §15.4.5). */
export function notModified(response: Response): Response {
  void response.body?.cancel().catch(() => {});
  const headers = new Headers(response.headers);
  for (const name of ['content-length', 'content-encoding', 'content-type', 'transfer-encoding']) headers.delete(name);
  const { url, redirected } = response;
  return dressed(new Response(null, { status: 304, statusText: 'Not Modified', headers }), { url, redirected });
}

/** The answer to an "only if cached" request for something that is not cached (RFC 9111 §5.2.1.7). */
export function notCached(settings: HttpSettings, about: Told): Response {
  const status = told(settings, about, { forwarded: 'no', detail: 'only-if-cached' });
  const headers = new Headers(status === undefined ? {} : { 'cache-status': status });
  return built(
    null,
    { status: 504, statusText: 'Gateway Timeout', headers },
    { url: about.ask.url, redirected: false },
  );
}

/** Gives `response`, and every clone of it, the parts that the constructor can't set. */
export function dressed(response: Response, origin: Origin): Response {
  return Object.defineProperties(response, {
    url: { value: origin.url, configurable: true },
    redirected: { value: origin.redirected, configurable: true },
    ...(origin.statusText === undefined ? {} : { statusText: { value: origin.statusText, configurable: true } }),
    clone: { value: () => dressed(Response.prototype.clone.call(response), origin), configurable: true },
  });
}

/** Whether the body is as long as the response says; true if it does not say. */
export function isAsLongAsSaid(headers: Headers, length: number): boolean {
  const said = headers.get('content-length');
  if (said === null || headers.has('content-encoding')) return true;
  return said.split(',').every((part) => /^\d+$/.test(part.trim()) && Number(part) === length);
}
