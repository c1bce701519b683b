import { misuse } from '../errors.js';

/** The origins whose pages may read answers. */
export type Cors = '*' | readonly string[];

/** The response headers that pages may read beside the usual ones. */
const EXPOSED = 'age, cache-status, etag, retry-after';

/** Seconds for which a browser need not ask again. */
const MAX_AGE = '7200';

/** @throws TypeError unless `cors` is a value of the option. */
export function checkCors(cors: unknown): void {
  if (cors === undefined || cors === '*') return;
  const isList = Array.isArray(cors) && cors.every((origin) => typeof origin === 'string' && isOrigin(origin));
  if (!isList) throw misuse('cors', "'*', or an array of origins such as 'https://app.example'", cors);
}

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text;
}

/** The answer to a browser that asks what a page may request. {@link withCors} says whether it may. */
export function preflight({ headers }: Request, methods: string): Response {
  const asked = headers.get('access-control-request-headers');
  return new Response(null, {
    status: 204,
    headers: {
      ...{ allow: methods, 'access-control-allow-methods': methods, 'access-control-max-age': MAX_AGE },
      ...(asked === null ? {} : { 'access-control-allow-headers': asked }),
      'cache-control': 'no-store',
    },
  });
}

/**
 * `response` to `request` with the headers that let the page read it, if its origin is one of `cors`.
 *
 * Credentials are for listed origins only: `'*'` would hand what a cookie opens to every page.
 *
 * @see https://fetch.spec.whatwg.org/#http-cors-protocol
 */
export function withCors(request: Request, response: Response, cors: Cors): Response {
  // The browser does not look at these headers of a WebSocket.
  if (response.status === 101) return response;
  const origin = request.headers.get('origin');
  const answer = new Response(response.body, response);
  if (cors === '*') answer.headers.set('access-control-allow-origin', '*');
  else {
    answer.headers.append('vary', 'origin');
    if (origin === null || !cors.includes(origin)) return answer;
    answer.headers.set('access-control-allow-origin', origin);
    answer.headers.set('access-control-allow-credentials', 'true');
  }
  answer.headers.set('access-control-expose-headers', EXPOSED);
  return answer;
}
