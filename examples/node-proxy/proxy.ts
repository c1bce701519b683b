import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { structuredCloneCodec } from 'soloflight/codecs';
import { cachedFetch } from 'soloflight/http';
import { sqliteStorage } from 'soloflight/sqlite';

/* A caching reverse proxy. What it has learned survives a restart in SQLite. */

const { PORT = '3000', ORIGIN = 'http://127.0.0.1:8080', DATABASE = 'proxy.db' } = process.env;
const OF_THE_CONNECTION = [
  'connection',
  'keep-alive',
  'host',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
];

const storage = sqliteStorage({ database: DATABASE, codec: structuredCloneCodec });
const fetch = cachedFetch({ name: 'node-proxy', cache: { storage } });

const server = createServer((request, response) => {
  // The client left, the origin can't be reached, or it broke off in the middle.
  forward(request, response).catch(() => (response.headersSent ? response.destroy() : response.writeHead(502).end()));
});
server.listen(Number(PORT), '127.0.0.1', () =>
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
);
process.once('SIGTERM', () => server.close(() => void fetch.cache.close()).closeIdleConnections());

async function forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = 'GET', url = '' } = request;
  // Anything else would be a way to other hosts.
  if (!url.startsWith('/')) return void response.writeHead(400).end();
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const headers = Object.entries(request.headersDistinct)
    .filter(([name]) => !OF_THE_CONNECTION.includes(name))
    .flatMap(([name, values = []]) => values.map((value): [string, string] => [name, value]));
  const body = method === 'GET' || method === 'HEAD' ? null : Readable.toWeb(request);
  const init = { method, headers, body, duplex: 'half', redirect: 'manual', signal: gone.signal } as const;
  const answer = await fetch(`${ORIGIN}${url}`, init);

  // `fetch` has decoded the body, so its old encoding and length no longer apply.
  const outdated = answer.headers.has('content-encoding') ? ['content-encoding', 'content-length'] : [];
  for (const [name, value] of answer.headers)
    if (![...outdated, ...OF_THE_CONNECTION].includes(name)) response.appendHeader(name, value);
  response.writeHead(answer.status, answer.statusText);
  if (answer.body === null) response.end();
  else await pipeline(Readable.fromWeb(answer.body), response);
}
