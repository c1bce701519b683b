import { request as send, type IncomingMessage, type ServerResponse } from 'node:http';

import { describe, expect, test } from 'vitest';

import { fc, runs } from '../support/property.js';
import { FACES } from './faces.js';
import { listen } from './listen.js';

/** What a route writes, and how. */
interface Plan {
  readonly status: number;
  readonly reason: string | undefined;
  readonly headers: Record<string, string | string[]>;
  /** How the head is written. */
  readonly head: 'object' | 'list' | 'set' | 'flush';
  readonly chunks: readonly string[];
  readonly encoding: 'utf8' | 'latin1' | 'bytes';
  readonly sized: boolean;
}

interface Seen {
  readonly status: number | undefined;
  readonly reason: string | undefined;
  readonly headers: Record<string, unknown>;
  readonly body: string;
}

const texts = fc.string({ unit: fc.constantFrom('a', 'é', ' ', '\n', '<', '0'), maxLength: 40 });
const values = fc.stringMatching(/^[!-~]([ -~]{0,20}[!-~])?$/);
const plans: fc.Arbitrary<Plan> = fc.record({
  status: fc.constantFrom(200, 200, 200, 201, 203, 204, 301, 304, 404, 410, 418, 500, 503),
  reason: fc.constantFrom(undefined, undefined, 'Fine', 'Not so fine'),
  headers: fc
    .record(
      {
        'Cache-Control': fc.constantFrom('max-age=60', 'public, s-maxage=60', 'no-store', 'private', 'max-age=0'),
        'Set-Cookie': fc.array(fc.constantFrom('a=1', 'b=2; Path=/', 'c=3; HttpOnly'), { minLength: 1, maxLength: 3 }),
        Vary: fc.constantFrom('Accept', 'Accept-Encoding, Accept', '*'),
        ETag: fc.constantFrom('"1"', 'W/"2"'),
        'Content-Type': fc.constantFrom('text/plain', 'text/html; charset=utf-8', 'application/json'),
        'Last-Modified': fc.constant('Tue, 01 Jan 2030 00:00:00 GMT'),
        Location: fc.constant('/elsewhere'),
        'X-Any': values,
        'x-many': fc.array(values, { minLength: 1, maxLength: 3 }),
      },
      { requiredKeys: [] },
    )
    .map((headers): Plan['headers'] => ({ ...headers })),
  head: fc.constantFrom('object', 'list', 'set', 'flush'),
  chunks: fc.array(texts, { maxLength: 4 }),
  encoding: fc.constantFrom('utf8', 'latin1', 'bytes'),
  sized: fc.boolean(),
});

function write(response: ServerResponse, { status, reason, headers, head, chunks, encoding, sized }: Plan): void {
  const parts = chunks.map((chunk) => Buffer.from(chunk, encoding === 'latin1' ? 'latin1' : 'utf8'));
  const length = String(parts.reduce((sum, { byteLength }) => sum + byteLength, 0));
  const all = { ...headers, ...(sized && ![204, 304].includes(status) ? { 'content-length': length } : {}) };
  if (head === 'object') response.writeHead(status, ...(reason === undefined ? [] : [reason]), all);
  else if (head === 'list') {
    const list = Object.entries(all).flatMap(([name, value]) => [value].flat().flatMap((one) => [name, one]));
    response.writeHead(status, ...(reason === undefined ? [] : [reason]), list);
  } else {
    response.statusCode = status;
    if (reason !== undefined) response.statusMessage = reason;
    for (const [name, value] of Object.entries(all)) response.setHeader(name, value);
    if (head === 'flush') response.flushHeaders();
  }
  const last = chunks.at(-1);
  for (const chunk of chunks.slice(0, -1)) put((...some) => response.write(...some), chunk, encoding);
  if (last === undefined) response.end();
  else put((...some) => response.end(...some), last, encoding);
}

function put(
  to: (chunk: string | Buffer, encoding: BufferEncoding) => unknown,
  chunk: string,
  as: Plan['encoding'],
): void {
  if (as === 'bytes') to(Buffer.from(chunk), 'utf8');
  else to(chunk, as);
}

/** One request without what clients do by themselves. */
async function ask(url: string, method: string): Promise<Seen> {
  const answer = await new Promise<IncomingMessage>((resolve, reject) => {
    send(url, { method, agent: false, headers: { accept: 'text/plain' } }, resolve)
      .on('error', reject)
      .end();
  });
  const parts: Buffer[] = [];
  for await (const part of answer) parts.push(part as Buffer);
  const { statusCode: status, statusMessage: reason } = answer;
  expect(answer.headers.date).toBeDefined();
  const headers = without(answer.headers, ['date', 'age', 'cache-status', 'x-powered-by']);
  return { status, reason, headers, body: Buffer.concat(parts).toString('latin1') };
}

describe.each(FACES)('a client of %s', (_name, serve) => {
  test('gets from behind the cache what it gets from plain Node, and the same again', async () => {
    let plan: Plan | undefined;
    let count = 0;
    const plain = await listen((_request, response) => write(response, plan!));
    const { url } = await serve({ route: ({ raw }) => write(raw, plan!) });

    await fc.assert(
      fc.asyncProperty(plans, fc.constantFrom('GET', 'GET', 'HEAD', 'POST'), async (made, method) => {
        plan = made;
        const path = `page/${(count += 1)}`;
        const wanted = await ask(`${plain}${path}`, method);

        expect(await ask(`${url}${path}`, method)).toEqual(wanted);

        // What is stored has its length, or none that it had.
        const again = await ask(`${url}${path}`, method);
        expect({ ...again, headers: unsized(again) }).toEqual({ ...wanted, headers: unsized(wanted) });
      }),
      { numRuns: runs(1_000) },
    );
  });
});

function unsized({ headers }: Seen): Record<string, unknown> {
  return without(headers, ['content-length', 'transfer-encoding']);
}

function without(headers: Record<string, unknown>, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)));
}
