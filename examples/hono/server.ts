import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';

import { getRequestListener } from '@hono/node-server';

import { createApp } from './app.ts';

/* Serves the app of `app.ts` on Node. */

const { PORT = '3000', QUERY_MS = '200' } = process.env;

const { app, posts } = createApp(Number(QUERY_MS));
const listener = getRequestListener(app.fetch);
const server = createServer((request, response) => void listener(request, response));
server.listen(Number(PORT), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.once('SIGTERM', shutDown).once('SIGINT', shutDown);

/** Requests under way have a second to finish. Idle connections, which browsers open ahead of need, end then, too. */
function shutDown(): void {
  server.close(() => void posts.close());
  void setTimeout(1_000, undefined, { ref: false }).then(() => server.closeAllConnections());
}
