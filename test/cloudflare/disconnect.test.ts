import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';
import { convertV4MiniflareOptions, Miniflare, Response } from 'miniflare';
import { describe, expect, onTestFinished, test } from 'vitest';

/** A Worker in front of objects, on a socket of its own, over an upstream that answers when the test says so. */
async function setup(compatibilityDate: string) {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('../workers/disconnect-worker.ts', import.meta.url))],
    bundle: true,
    format: 'esm',
    external: ['cloudflare:workers'],
    write: false,
  });
  const calls: ((body: string) => void)[] = [];
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      name: 'worker',
      modules: [{ type: 'ESModule', path: 'worker.js', contents: outputFiles[0]?.text ?? '' }],
      compatibilityDate,
      durableObjects: { SLOW: { className: 'SlowObject', useSQLite: true } },
      serviceBindings: {
        UPSTREAM: () => new Promise<Response>((resolve) => calls.push((body) => resolve(new Response(body)))),
      },
      unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
      cf: false,
    }),
  );
  onTestFinished(() => miniflare.dispose());
  const url = await miniflare.unsafeGetDirectURL('worker');
  const visit = async (key: string): Promise<Socket> => {
    const socket = connect(Number(url.port), url.hostname);
    await once(socket, 'connect');
    socket.write(`GET /${key} HTTP/1.1\r\nHost: worker\r\n\r\n`);
    return socket;
  };
  const get = async (key: string): Promise<string> =>
    (await fetch(new URL(key, url), { signal: AbortSignal.timeout(10_000) })).text();
  return { calls, visit, get };
}

describe.each(['2024-10-01', '2026-10-23'])('an object, by compatibility date %s', { timeout: 30_000 }, (date) => {
  test('answers those who wait for a load whose first client has vanished', async () => {
    const { calls, visit, get } = await setup(date);
    const leader = await visit('key');
    await expect.poll(() => calls.length).toBe(1);
    const followers = Promise.all([get('key'), get('key'), get('key')]);

    leader.resetAndDestroy();
    // Until the platform has noticed.
    await new Promise((resolve) => setTimeout(resolve, 300));
    for (const answer of calls) answer('value');

    expect(await followers).toEqual(['value', 'value', 'value']);
    expect(await get('key')).toBe('value');
    expect(calls.length).toBe(1);
  });

  test('answers the next client after the only one has vanished', async () => {
    const { calls, visit, get } = await setup(date);
    const only = await visit('key');
    await expect.poll(() => calls.length).toBe(1);

    only.resetAndDestroy();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const next = get('key');
    await new Promise((resolve) => setTimeout(resolve, 300));
    for (const answer of calls) answer('value');

    expect(await next).toBe('value');
    expect(calls.length).toBe(1);
  });
});
