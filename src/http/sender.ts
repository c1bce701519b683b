import type { Fetch } from './ask.js';
import { streamed, type NodeBody } from './body.js';
import { dressed } from './respond.js';

/** `own`, or the global `fetch`, which is looked up at each request: tools replace it at any time. */
export function sender(own: Fetch | undefined): Fetch {
  return async (input, init) => asWeb(await (own ?? globalThis.fetch)(input, init));
}

/** A response of a `fetch` whose bodies are streams of Node, in the form of the platform's. */
function asWeb(response: Response): Response {
  const body = response.body as ReadableStream<Uint8Array> | NodeBody | null;
  if (body === null || 'getReader' in body) return response;
  const { status, statusText, url, redirected } = response;
  const headers = new Headers([...response.headers]);
  const { raw } = response.headers as { readonly raw?: () => Readonly<Record<string, readonly string[]>> };
  headers.delete('set-cookie');
  for (const cookie of raw?.call(response.headers)['set-cookie'] ?? response.headers.getSetCookie())
    headers.append('set-cookie', cookie);
  return dressed(new Response(streamed(body), { status, statusText, headers }), { url, redirected });
}
