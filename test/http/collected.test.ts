import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { expect, onTestFinished, test } from 'vitest';

import { cachedFetch } from '../../src/http/index.js';

test('a body that is not stored can be read however often garbage was collected before', async () => {
  const waiting: ServerResponse[] = [];
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'cache-control': 'private' });
    response.write('first ');
    waiting.push(response);
  }).listen(0, '127.0.0.1');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const fetch = cachedFetch();

  const responses = [await fetch(url), await fetch(url)];
  for (let turn = 0; turn < 10; turn += 1) {
    globalThis.gc!();
    await new Promise((resolve) => setImmediate(resolve));
  }
  for (const response of waiting) response.end('last');

  expect(await Promise.all(responses.map((response) => response.text()))).toEqual(['first last', 'first last']);
});
