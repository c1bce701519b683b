import { createServer } from 'node:http';
import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { endWithParent, listen, now, tell } from './messages.ts';
import { Pool } from './pool.ts';
import { ways } from './ways.ts';
import type { Way } from './ways.ts';

/* The web server, a process of its own: `GET /posts/:id` answers the post as JSON, found in one of the three ways. */

export interface ServerOptions {
  readonly way: Way;
  readonly database: string;
  readonly ttl: number;
}

endWithParent();
const { way, database, ttl } = JSON.parse(process.argv[2] ?? '') as ServerOptions;
const pool = await Pool.open(database, { connections: 10, patience: 2_000 });
const findPost = ways[way]((id) => pool.query(id), ttl);

async function answer(path: string): Promise<{ readonly status: number; readonly content: unknown }> {
  if (path === '/health') return { status: 200, content: { status: 'ok' } };
  const id = /^\/posts\/(\d+)$/.exec(path)?.[1];
  if (id === undefined) return { status: 404, content: { error: 'Not found' } };

  try {
    const post = await findPost(id);
    return post ? { status: 200, content: post } : { status: 404, content: { error: 'No such post' } };
  } catch {
    return { status: 503, content: { error: 'Unavailable, try again later' } };
  }
}

async function respond(path: string, response: ServerResponse): Promise<void> {
  const { status, content } = await answer(path);
  const body = JSON.stringify(content);
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  response.writeHead(status, headers).end(body);
}

const server = createServer((request, response) => void respond(request.url ?? '/', response));
// Longer than any run: a connection closed just before its next use would look like a failed request.
server.keepAliveTimeout = 120_000;
server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 }, () => {
  tell({ kind: 'listening', port: (server.address() as AddressInfo).port });
});

setInterval(() => tell({ kind: 'queried', queries: pool.queries.length }), 100);
listen((command) => {
  if (command.kind === 'report') tell({ kind: 'report', queries: pool.queries });
  if (command.kind === 'outage') {
    setTimeout(() => pool.turn('down'), command.from - now());
    setTimeout(() => pool.turn('up'), command.to - now());
  }
});
