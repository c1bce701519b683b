import type { ServerResponse } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2 } from 'node:http2';
import { connect, type AddressInfo } from 'node:net';

import { describe, expect, onTestFinished, test } from 'vitest';

import { purgeRequests, type HttpCacheOptions } from '../../src/http/index.js';
import { nodeCache } from '../../src/node/index.js';
import { FACES, PAGE, type Visit } from './faces.js';

const MINUTE = 'max-age=60';

/** Sends `text` as it is, which no client of HTTP would, and gives all that comes back until the connection ends. */
function raw(url: string, text: string): Promise<string> {
  const { port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), '127.0.0.1', () => socket.write(text));
    let all = '';
    socket.setEncoding('latin1');
    socket.on('data', (part) => (all += String(part)));
    socket.on('close', () => resolve(all));
    socket.on('error', reject);
  });
}

const asking = (target: string, host: string): string =>
  `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;

/** Answers by what the route sees of the URL. */
const echo = (visit: Visit): void => {
  visit.set('cache-control', MINUTE);
  visit.send(`for ${visit.request.url}`);
};

describe.each(FACES)('an attacker of %s', (_name, serve) => {
  test.each([
    ['dots', '/evil/../page', ''],
    ['dots in escapes', '/evil/%2e%2E/page', ''],
    ['a fragment', '/page#evil', ''],
    ['a backslash', '/evil\\..\\page', ''],
    ['a fragment in Host', '/evil', '/page#'],
    ['dots in Host', '/../page', '/evil'],
  ])('stores nothing under a URL that the route did not see, by %s', async (_case, target, hostEnd) => {
    const { url } = await serve({ route: echo });
    const { host } = new URL(url);

    await raw(url, asking(target, `${host}${hostEnd}`));

    expect(await (await fetch(`${url}page`)).text()).toBe('for /page');
  });

  test.each([
    ['says no', () => false],
    ['says no later', async () => false],
    ['gives anything else than true', () => 'yes' as unknown as boolean],
    [
      'throws',
      () => {
        throw new Error('of authorize');
      },
    ],
    ['rejects', () => Promise.reject(new Error('of authorize'))],
  ])('purges nothing where `authorize` %s', async (_case, authorize) => {
    const seen: unknown[] = [];
    const options: HttpCacheOptions = { use: [purgeRequests({ authorize })] };
    const { url } = await serve({
      options,
      route: (visit) => {
        seen.push(visit.request.method);
        echo(visit);
      },
    });
    await (await fetch(url)).text();

    const { status } = await fetch(url, { method: 'PURGE' });
    await (await fetch(url)).text();

    expect(status).toBeGreaterThanOrEqual(400);
    expect(seen).toEqual(['GET']);
  });
});

/** A middleware behind the cache that sets headers when the head is written, as sessions, compression and others do. */
function onHead(response: ServerResponse, set: () => void): void {
  const writeHead = response.writeHead.bind(response) as (...all: unknown[]) => ServerResponse;
  response.writeHead = (...all: unknown[]) => {
    set();
    return writeHead(...all);
  };
}

describe.each(FACES)('a route behind the cache of %s', (_name, serve) => {
  test.each([
    ['end', (response: ServerResponse) => response.end('own')],
    [
      'write',
      (response: ServerResponse) => {
        response.write('o');
        response.end('wn');
      },
    ],
    [
      'flushHeaders',
      (response: ServerResponse) => {
        response.flushHeaders();
        response.end('own');
      },
    ],
  ])('has its head written by `writeHead`, where a session sets its cookie: %s', async (_case, answer) => {
    let runs = 0;
    const { url } = await serve({
      route: ({ raw: response }) => {
        onHead(response, () => response.setHeader('set-cookie', `session=${(runs += 1)}`));
        response.setHeader('cache-control', MINUTE);
        answer(response);
      },
    });

    for (const cookie of ['session=1', 'session=2']) {
      const response = await fetch(url);
      expect([await response.text(), response.headers.getSetCookie()]).toEqual(['own', [cookie]]);
    }
  });

  test.each([
    ['a header that is none', (response: ServerResponse) => response.writeHead(200, { 'x-name': 'Über \n' })],
    ['a header without value', (response: ServerResponse) => response.writeHead(200, { 'x-name': undefined })],
    ['a status that is none', (response: ServerResponse) => response.writeHead(99)],
    ['a reason that is none', (response: ServerResponse) => response.writeHead(200, 'a\r\nx-smuggled: 1')],
    ['a body that is none', (response: ServerResponse) => response.end({ length: 5 })],
    ['a number as a body', (response: ServerResponse) => response.end(5)],
    ['nothing to write', (response: ServerResponse) => response.write(null)],
    ['an unknown encoding', (response: ServerResponse) => response.end('x', 'none' as BufferEncoding)],
  ])('hears of %s at once, and can still answer', async (_case, wrong) => {
    const { url } = await serve({
      route: ({ raw: response }) => {
        try {
          wrong(response);
        } catch {
          if (!response.headersSent) response.writeHead(500);
          response.end(PAGE);
        }
      },
    });

    const response = await fetch(url);
    expect([await response.text(), response.headers.get('x-smuggled')]).toEqual([PAGE, null]);
  });

  test.each([
    ['an answer', 'broken', (visit: Visit) => visit.send('broken', 500)],
    ['the page of an error', PAGE, () => Promise.reject(new Error('of the route'))],
  ])('that fails on its way around the cache sends %s', async (_case, page, route) => {
    const { url } = await serve({ route });

    const response = await fetch(url, { method: 'POST' });

    expect([response.status, await response.text()]).toEqual([500, page]);
  });

  test('may give its status as a text', async () => {
    const { url } = await serve({ route: ({ raw: response }) => response.writeHead('204' as unknown as number).end() });

    expect((await fetch(url)).status).toBe(204);
  });

  test.each([
    ['its socket', ({ request }: Visit) => request.socket.destroy()],
    ['its request', ({ request }: Visit) => request.destroy()],
    ['its response', ({ raw: response }: Visit) => response.destroy()],
  ])('that destroys %s fails for the leader alone', async (_case, destroy) => {
    const visits: Visit[] = [];
    const { url, cache } = await serve({
      route: (visit) => {
        visits.push(visit);
        return new Promise<void>((resolve) => visit.raw.once('close', resolve));
      },
    });
    const leader = fetch(url).catch(() => 'cut');
    await expect.poll(() => visits.length).toBe(1);
    const follower = fetch(url);
    await expect.poll(() => cache.getStats().flights.totalSubscribers).toBe(2);

    destroy(visits[0]!);

    expect(await leader).toBe('cut');
    await expect.poll(() => visits.length).toBe(2);
    visits[1]!.send('by the follower');
    expect(await (await follower).text()).toBe('by the follower');
  });

  test('may take back a header that was set outside', async () => {
    const { url } = await serve({
      outside: (visit) => visit.raw.setHeader('x-frame-options', 'DENY'),
      route: ({ raw: response }) => {
        response.removeHeader('x-frame-options');
        response.setHeader('cache-control', 'no-store');
        response.end('to be framed');
      },
    });

    expect((await fetch(url)).headers.get('x-frame-options')).toBeNull();
  });
});

test('a route behind the cache of a server of HTTP/2 sees which host was asked', async () => {
  const cache = nodeCache();
  const hosts: unknown[] = [];
  const server = createHttp2((request, response) => {
    void cache(request, response as unknown as ServerResponse, () => {
      hosts.push(request.headers[':authority']);
      response.setHeader('cache-control', MINUTE);
      response.end('hello');
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = connectHttp2(`http://${host}`);
  onTestFinished(() => {
    client.destroy();
    server.close();
  });

  const bodies: string[] = [];
  for (let asked = 0; asked < 2; asked += 1) {
    let body = '';
    for await (const part of client.request({ ':path': '/' })) body += String(part);
    bodies.push(body);
  }

  expect([bodies, hosts]).toEqual([['hello', 'hello'], [host]]);
});
