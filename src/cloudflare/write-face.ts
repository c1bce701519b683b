import { failure, keyOf } from './json-face.js';
import { Refusal, toRefusal } from './refusal.js';
import type { AskedWrite, WriteGate } from './write-gate.js';

/** Whether `request` asks for a write. */
export function isWriteRequest({ method }: Request): boolean {
  return method === 'PUT' || method === 'PATCH' || method === 'DELETE';
}

/**
 * Takes `PUT` (a value), `PATCH` (a change) and `DELETE` of `?key=…`, with JSON bodies. `202` means that the write is
 * accepted: it reaches the main database later.
 *
 * @see RFC 9110 §9.3.4, §9.3.5 and §15.3.3, RFC 5789
 */
export async function respondToWrite<V>(request: Request, gate: WriteGate<V>): Promise<Response> {
  try {
    const client = await gate.authorize(request);
    gate.admit(client.name);
    const key = keyOf(request);
    if (key instanceof Response) return key;
    const write = await askedFor(request, key, gate);
    await gate.permit(write, client);
    const value = await gate.write(write, client.name);
    return accepted(key, value);
  } catch (error) {
    const { status, code, message, headers, details } = toRefusal(error, gate.settings.onError);
    return failure(status, code, message, headers, details);
  }
}

function accepted(key: string, value: unknown): Response {
  const init = { status: 202, headers: { 'cache-control': 'no-store' } };
  try {
    return Response.json({ accepted: true, key, ...(value === undefined ? {} : { value }) }, init);
  } catch {
    // A value without a JSON form is accepted nevertheless.
    return Response.json({ accepted: true, key }, init);
  }
}

async function askedFor<V>(request: Request, key: string, gate: WriteGate<V>): Promise<AskedWrite> {
  if (request.method === 'DELETE') return { type: 'delete', key };
  const type = request.headers.get('content-type');
  if (type !== null && !/^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type))
    throw new Refusal(415, 'NOT_JSON', 'Expected a body of the type application/json', { accept: 'application/json' });
  const body = gate.parseJson(await textOf(request, gate));
  return request.method === 'PUT' ? { type: 'set', key, value: body } : { type: 'update', key, change: body };
}

/** Reads the body, and stops once it is too large. */
async function textOf<V>(request: Request, gate: WriteGate<V>): Promise<string> {
  gate.checkSize(Number(request.headers.get('content-length') ?? 0));
  const reader = request.body?.getReader() as ReadableStreamDefaultReader<Uint8Array> | undefined;
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });
  let text = '';
  let size = 0;
  try {
    for (;;) {
      const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
      if (done) return text + decoder.decode();
      gate.checkSize((size += value.length));
      text += decoder.decode(value, { stream: true });
    }
  } catch (error) {
    await reader?.cancel().catch(() => {});
    if (error instanceof Refusal) throw error;
    throw new Refusal(400, 'BAD_JSON', 'Expected a body of UTF-8 text that is sent to its end');
  }
}
