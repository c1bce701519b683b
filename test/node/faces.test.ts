import { describe, expect, test } from 'vitest';

import { byteRanges } from '../../src/http/index.js';
import { manualClock } from '../../src/testing/index.js';
import { FACES, PAGE, type Visit } from './faces.js';

const MINUTE = 'max-age=60';

/** A route that waits for the test, and the visits it got. */
function waitingRoute(): { readonly visits: Visit[]; readonly route: (visit: Visit) => Promise<void> } {
  const visits: Visit[] = [];
  return {
    visits,
    route: (visit) => {
      visit.set('cache-control', MINUTE);
      visits.push(visit);
      return new Promise((resolve, reject) => {
        visit.raw.once('fail', reject);
        visit.raw.once('done', resolve);
      });
    },
  };
}

/** A route that answers by count, with `headers`. */
function counting(headers: Record<string, string> = { 'cache-control': MINUTE }): {
  readonly visits: Visit[];
  readonly route: (visit: Visit) => void;
} {
  const visits: Visit[] = [];
  const route = (visit: Visit): void => {
    visits.push(visit);
    for (const [name, value] of Object.entries(headers)) visit.set(name, value);
    visit.send(`answer ${visits.length}`);
  };
  return { visits, route };
}

const texts = (responses: readonly Response[]): Promise<string[]> => Promise.all(responses.map((one) => one.text()));
const toldBy = (response: Response): string => response.headers.get('cache-status') ?? '';

describe.each(FACES)('a route behind the cache of %s', (_name, serve) => {
  test('runs once for concurrent requests, and not at all while its answer is fresh', async () => {
    const { visits, route } = waitingRoute();
    const { url, cache } = await serve({ route });
    const asked = Array.from({ length: 20 }, () => fetch(url));
    await expect.poll(() => visits.length).toBe(1);
    await expect.poll(() => cache.getStats().flights.totalSubscribers).toBe(20);

    visits[0]!.send('hello');

    expect(new Set(await texts(await Promise.all(asked)))).toEqual(new Set(['hello']));
    const later = await fetch(url);
    expect([await later.text(), later.headers.get('content-length'), later.headers.has('date')]).toEqual([
      'hello',
      '5',
      true,
    ]);
    expect(toldBy(later)).toMatch(/^soloflight; hit/);
    expect(visits).toHaveLength(1);
  });

  test('is not shown the conditions of a client, whose copy the cache compares itself', async () => {
    const { visits, route } = counting({ 'cache-control': MINUTE, etag: '"1"' });
    const seen: unknown[] = [];
    const { url } = await serve({
      // `fetch` says `no-cache` by itself where it is given conditions.
      options: { clientCacheControl: 'ignore' },
      route: (visit) => {
        seen.push(visit.request.headers['if-none-match']);
        route(visit);
      },
    });
    const condition = { headers: { 'if-none-match': '"1"' } };

    for (const response of [await fetch(url, condition), await fetch(url, condition)])
      expect([response.status, await response.text(), response.headers.get('etag')]).toEqual([304, '', '"1"']);
    expect([visits.length, seen]).toEqual([1, [undefined]]);
    // Whoever looks later sees the request as it came.
    expect(visits[0]!.request.headers['if-none-match']).toBe('"1"');
  });

  test('runs again after a change, which gets its body and its own answer', async () => {
    const bodies: string[] = [];
    let runs = 0;
    const { url } = await serve({
      route: async (visit) => {
        visit.set('cache-control', MINUTE);
        if (visit.request.method !== 'POST') return visit.send(`answer ${(runs += 1)}`);
        for await (const chunk of visit.request) bodies.push(String(chunk));
        visit.send('changed', 201);
      },
    });
    await (await fetch(url)).text();

    const changed = await fetch(url, { method: 'POST', body: 'news' });

    expect([changed.status, await changed.text(), toldBy(changed)]).toEqual([
      201,
      'changed',
      'soloflight; fwd=method; fwd-status=201',
    ]);
    expect(await (await fetch(url)).text()).toBe('answer 2');
    expect(bodies).toEqual(['news']);
  });

  test('leaves to each client what is not to be shared', async () => {
    const { url } = await serve(counting({ 'cache-control': 'private' }));

    const all = await Promise.all([1, 2, 3].map(() => fetch(url)));

    expect(new Set(await texts(all)).size).toBe(3);
  });

  test('answers HEAD from what is stored, and by itself without a body', async () => {
    const { visits, route } = counting();
    const { url } = await serve({ route });

    const alone = await fetch(url, { method: 'HEAD' });
    await (await fetch(url)).text();
    const stored = await fetch(url, { method: 'HEAD' });

    expect([alone.status, await alone.text(), await stored.text()]).toEqual([200, '', '']);
    expect([toldBy(stored), visits.length]).toEqual([expect.stringMatching(/^soloflight; hit/), 2]);
  });

  test('is known by its whole URL', async () => {
    const { url } = await serve(counting());

    const first = await texts([await fetch(`${url}a/b?c=1`), await fetch(`${url}a/b?c=2`), await fetch(`${url}/a/b`)]);
    const second = await texts([await fetch(`${url}a/b?c=1`), await fetch(`${url}a/b?c=2`), await fetch(`${url}/a/b`)]);

    expect(first).toEqual(['answer 1', 'answer 2', 'answer 3']);
    expect(second).toEqual(first);
  });

  test('gives parts of what is stored, with `byteRanges()`', async () => {
    const { visits, route } = counting();
    const { url } = await serve({ route, options: { use: [byteRanges()] } });
    await (await fetch(url)).text();

    const part = await fetch(url, { headers: { range: 'bytes=0-3' } });

    expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([206, 'bytes 0-3/8', 'answ']);
    expect(visits).toHaveLength(1);
  });
});

describe.each(FACES)('a client of %s who leaves', (_name, serve) => {
  test('while others wait: these get the answer of the same run, which does not hear of it', async () => {
    const { visits, route } = waitingRoute();
    const { url, cache } = await serve({ route });
    const leaving = new AbortController();
    const leader = fetch(url, { signal: leaving.signal }).catch(() => 'left');
    await expect.poll(() => visits.length).toBe(1);
    const heard: string[] = [];
    for (const event of ['close', 'aborted', 'error']) {
      visits[0]!.raw.on(event, () => heard.push(`response ${event}`));
      visits[0]!.request.on(event, () => heard.push(`request ${event}`));
    }
    const follower = fetch(url);
    await expect.poll(() => cache.getStats().flights.totalSubscribers).toBe(2);

    leaving.abort();
    expect(await leader).toBe('left');
    await expect.poll(() => cache.getStats().flights.totalSubscribers).toBe(1);
    expect(heard).toEqual([]);
    visits[0]!.send('for the others');

    expect(await (await follower).text()).toBe('for the others');
    expect(await (await fetch(url)).text()).toBe('for the others');
    expect(visits).toHaveLength(1);
  });

  test('before its change is done: what it changes is not served any more', async () => {
    let runs = 0;
    const changes: Visit[] = [];
    const { url } = await serve({
      route: (visit) => {
        if (visit.request.method === 'POST') return void changes.push(visit);
        visit.set('cache-control', MINUTE);
        visit.send(`answer ${(runs += 1)}`);
      },
    });
    await (await fetch(url)).text();
    const leaving = new AbortController();
    const change = fetch(url, { method: 'POST', signal: leaving.signal }).catch(() => 'left');
    await expect.poll(() => changes.length).toBe(1);
    const closed = new Promise((resolve) => changes[0]!.raw.once('close', resolve));

    leaving.abort();
    await Promise.all([change, closed]);
    changes[0]!.send('changed');

    await expect.poll(async () => (await fetch(url)).text()).toBe('answer 2');
  });

  test('as the last one: the route hears of it, and the next request runs it anew', async () => {
    const { visits, route } = waitingRoute();
    const { url, cache } = await serve({ route });
    const leaving = new AbortController();
    const asked = [1, 2].map(() => fetch(url, { signal: leaving.signal }).catch(() => 'left'));
    await expect.poll(() => visits.length).toBe(1);
    await expect.poll(() => cache.getStats().flights.totalSubscribers).toBe(2);
    let closed = 0;
    visits[0]!.raw.on('close', () => (closed += 1));

    leaving.abort();
    await Promise.all(asked);
    await expect.poll(() => closed).toBe(1);
    const next = fetch(url);
    await expect.poll(() => visits.length).toBe(2);
    visits[0]!.send('too late');
    visits[1]!.send('new');

    expect(await (await next).text()).toBe('new');
  });
});

describe.each(FACES)('a route behind the cache of %s that fails', (_name, serve) => {
  test.each([
    ['throws', (visit: Visit) => void visit.raw.emit('fail', new Error('broken')), 500, PAGE],
    ['answers with a 5xx that looks fresh', (visit: Visit) => visit.send('late', 504), 504, 'late'],
  ])('fails for the leader alone: it %s', async (_case, fail, status, page) => {
    const { visits, route } = waitingRoute();
    const { url, cache } = await serve({ route });
    const leader = fetch(url);
    await expect.poll(() => visits.length).toBe(1);
    const follower = fetch(url);
    await expect.poll(() => cache.getStats().flights.totalSubscribers).toBe(2);

    fail(visits[0]!);
    await expect.poll(() => visits.length).toBe(2);
    visits[1]!.send('by the follower');

    expect([(await leader).status, await (await leader).text()]).toEqual([status, page]);
    expect([(await follower).status, await (await follower).text()]).toEqual([200, 'by the follower']);
  });

  test('leaves a stale answer that may stand in for it', async () => {
    let runs = 0;
    const { url } = await serve({
      route: (visit) => {
        if ((runs += 1) > 1) return visit.send('broken', 503);
        visit.set('cache-control', 'max-age=0, stale-if-error=60');
        visit.send('stale');
      },
    });
    await (await fetch(url)).text();

    const answered = await fetch(url);

    expect([runs, answered.status, await answered.text()]).toEqual([2, 200, 'stale']);
  });

  test('in the middle of its answer breaks off for its client, and nothing is stored', async () => {
    let runs = 0;
    const { url } = await serve({
      route: ({ raw }) => {
        if ((runs += 1) > 1) return void raw.writeHead(200, { 'cache-control': MINUTE }).end('whole');
        raw.writeHead(200, { 'cache-control': MINUTE, 'content-length': '10' });
        raw.write('hal', () => raw.destroy(new Error('broken')));
      },
    });

    await expect(fetch(url).then((response) => response.text())).rejects.toThrow(TypeError);

    expect(await (await fetch(url)).text()).toBe('whole');
  });

  test('because an option of the cache does leads to the page of an error', async () => {
    const { route } = counting();
    const { url } = await serve({
      route,
      options: {
        lifetime: () => {
          throw new Error('of the option');
        },
      },
    });

    expect((await fetch(url)).status).toBe(500);
  });
});

describe.each(FACES)('headers that are set outside of the cache of %s', (_name, serve) => {
  test('reach this visitor, and neither followers nor later ones, nor what is stored', async () => {
    const { visits, route } = waitingRoute();
    const { url, cache } = await serve({
      route,
      outside: (visit) => {
        visit.set('x-request-id', visit.visitor);
        visit.set('set-cookie', `visitor=${visit.visitor}`);
      },
      options: { lifetime: () => '1m' },
    });
    const visit = (visitor: string): Promise<Response> => fetch(url, { headers: { visitor } });
    const leader = visit('leader');
    await expect.poll(() => visits.length).toBe(1);
    visits[0]!.raw.once('close', () => {});
    const follower = visit('follower');
    await expect.poll(() => cache.getStats().flights.totalSubscribers).toBe(2);
    visits[0]!.send('shared');

    const first = await leader;

    // A cookie set outside keeps the answer from being shared, as a cookie of the route does.
    expect(first.headers.get('x-request-id')).toBe('leader');
    await expect.poll(() => visits.length).toBe(2);
    visits[1]!.send('of the follower');
    expect([(await follower).headers.get('x-request-id'), (await follower).headers.getSetCookie()]).toEqual([
      'follower',
      ['visitor=follower'],
    ]);
  });

  test('are not in storage', async () => {
    const { url, cache } = await serve({
      outside: (visit) => visit.set('x-user', visit.visitor),
      route: (visit) => {
        visit.set('cache-control', MINUTE);
        visit.set('x-route', 'kept');
        visit.send('shared');
      },
    });
    const visit = async (visitor: string): Promise<(string | null)[]> => {
      const { headers } = await fetch(url, { headers: { visitor } });
      return ['x-user', 'x-route', 'cache-control'].map((header) => headers.get(header));
    };

    expect([await visit('ann'), await visit('bob')]).toEqual([
      ['ann', 'kept', MINUTE],
      ['bob', 'kept', MINUTE],
    ]);
    const stored = JSON.stringify(await cache.getIfCached(url));
    expect(stored).toContain('x-route');
    expect(stored).not.toContain('x-user');
  });
});

describe.each(FACES)('the answer of a route behind the cache of %s', (_name, serve) => {
  test('streams to the first client before its end, and whole to the others', async () => {
    const { visits, route } = waitingRoute();
    const { url, cache } = await serve({ route });
    const asked = [fetch(url), fetch(url)];
    await expect.poll(() => visits.length).toBe(1);
    await expect.poll(() => cache.getStats().flights.totalSubscribers).toBe(2);
    const { raw } = visits[0]!;
    raw.writeHead(200, 'Fine', { 'Cache-Control': MINUTE });
    raw.write('he');

    const first = await Promise.race(asked);
    const reader = first.body!.getReader();
    const begun = new TextDecoder().decode((await reader.read()).value);
    raw.end('llo');

    expect([begun, first.status, first.statusText]).toEqual(['he', 200, 'Fine']);
    expect(new TextDecoder().decode((await reader.read()).value)).toBe('llo');
    const others = (await Promise.all(asked)).filter((response) => response !== first);
    expect(await texts(others)).toEqual(['hello']);
  });

  test('that has no end reaches its client at once, head first', async () => {
    const { visits, route } = waitingRoute();
    const { url } = await serve({ route });
    const leaving = new AbortController();
    const asked = fetch(url, { signal: leaving.signal });
    await expect.poll(() => visits.length).toBe(1);
    const { raw } = visits[0]!;
    raw.writeHead(200, ['Content-Type', 'text/event-stream', 'X-Twice', '1', 'X-Twice', '2']);
    raw.flushHeaders();
    const response = await asked;
    expect([response.headers.get('content-type'), response.headers.get('x-twice')]).toEqual([
      'text/event-stream',
      '1, 2',
    ]);

    const reader = response.body!.getReader();
    for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
      raw.write(event);
      expect(new TextDecoder().decode((await reader.read()).value)).toBe(event);
    }
    const closed = new Promise((resolve) => raw.once('close', resolve));
    leaving.abort();
    await closed;
  });

  test('is written no faster than its client reads, once it is too large to be kept', async () => {
    const chunk = new Uint8Array(65_536);
    const all = 1_024;
    const ahead: number[] = [];
    let [written, read] = [0, 0];
    const { url } = await serve({
      options: { maxBodySize: 1_000 },
      route: async ({ raw }) => {
        raw.setHeader('cache-control', MINUTE);
        while (written < all) {
          written += 1;
          ahead.push(written - read);
          if (!raw.write(chunk)) await new Promise((resolve) => raw.once('drain', resolve));
        }
        raw.end();
      },
    });

    const reader = (await fetch(url)).body!.getReader();
    let size = 0;
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      size += part.value.byteLength;
      read = size / chunk.byteLength;
    }

    expect(size).toBe(all * chunk.byteLength);
    // Sockets and streams hold some; without pauses all of it would lie there.
    expect(Math.max(...ahead)).toBeLessThan(all / 2);
  });

  test('says of itself what Node would say', async () => {
    const states: unknown[] = [];
    const { url } = await serve({
      route: ({ raw }) => {
        raw.setHeader('cache-control', MINUTE);
        states.push(raw.headersSent, raw.writableEnded);
        raw.write(Buffer.from('abc'));
        states.push(raw.headersSent, raw.writableEnded);
        raw.end('646566', 'hex');
        states.push(raw.headersSent, raw.writableEnded);
      },
    });

    const response = await fetch(url);

    expect(await response.text()).toBe('abcdef');
    expect(states).toEqual([false, false, true, false, true, true]);
  });

  test('tells when it was sent', async () => {
    const events: string[] = [];
    const { url } = await serve({
      route: ({ raw }) => {
        raw.setHeader('cache-control', MINUTE);
        for (const event of ['finish', 'close']) raw.once(event, () => events.push(event));
        raw.end('x', () => events.push('sent'));
      },
    });
    await (await fetch(url)).text();

    await expect.poll(() => events).toEqual(expect.arrayContaining(['finish', 'sent']));
  });

  test('is renewed before it is served once it is stale', async () => {
    const clock = manualClock();
    const { visits, route } = counting({ 'cache-control': 'max-age=1, stale-while-revalidate=60' });
    const { url } = await serve({ route, options: { clock } });
    await (await fetch(url)).text();
    clock.advance(2_000);

    expect(await (await fetch(url)).text()).toBe('answer 2');
    expect(visits).toHaveLength(2);
  });
});
