import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';

import { startExample, type RunningExample } from '../../examples/start-example.js';
import { startOrigin } from '../../support/http-origin.js';
import { scriptOrigin, type OriginStep, type ScriptedOrigin } from '../../support/scripted-origin.js';

let base: Awaited<ReturnType<typeof startOrigin>>;
beforeAll(async () => void (base = await startOrigin()));
afterAll(() => base.close());

async function setup(...steps: readonly OriginStep[]): Promise<{
  readonly origin: ScriptedOrigin;
  readonly start: () => Promise<RunningExample>;
}> {
  const folder = mkdtempSync(join(tmpdir(), 'soloflight-proxy-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const origin = await scriptOrigin(base.url, { '*': steps });
  const variables = { ORIGIN: origin.url(''), DATABASE: join(folder, 'proxy.db') };
  return { origin, start: () => startExample('node-proxy/proxy.ts', variables) };
}

describe('the proxy example', () => {
  test('asks the origin once for 200 clients at the same time, and not again after a restart', async () => {
    const { origin, start } = await setup({ headers: { 'cache-control': 'max-age=60' }, body: 'hello', hold: 'go' });
    const first = await start();

    const clients = Array.from({ length: 200 }, async () => (await fetch(`${first.url}/`)).text());
    await origin.reached(1);
    await origin.open('go');
    expect(new Set(await Promise.all(clients))).toEqual(new Set(['hello']));
    expect(await first.stop()).toMatchObject({ code: 0 });
    const second = await start();
    const response = await fetch(`${second.url}/`);

    expect([response.headers.get('cache-status')?.split('; ttl')[0], await response.text()]).toEqual([
      'node-proxy; hit',
      'hello',
    ]);
    expect((await fetch(`${second.url}/`)).headers.get('cache-status')).toMatch(/^node-proxy; hit/);
    expect(await origin.seen()).toHaveLength(1);
    await second.stop();
  });

  test('passes bodies, cookies and failures on as they are', async () => {
    const { origin, start } = await setup(
      { status: 201, headers: { 'set-cookie': ['a=1', 'b=2'] }, body: 'made' },
      { then: 'reset' },
    );
    const { url, stop } = await start();

    const made = await fetch(`${url}/new`, { method: 'POST', body: 'text', headers: { 'x-a': 'b' } });

    expect([made.status, await made.text(), made.headers.getSetCookie()]).toEqual([201, 'made', ['a=1', 'b=2']]);
    expect((await origin.seen())[0]).toMatchObject({ method: 'POST', path: '/new', headers: { 'x-a': 'b' } });
    expect((await fetch(`${url}/new`, { method: 'POST' })).status).toBe(502);
    await stop();
  });

  test('is no way to other hosts', async () => {
    const { origin, start } = await setup({ body: 'ours' });
    const { url, stop } = await start();
    const statusOf = (path: string): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        request(url, { path, agent: false }, (response) => {
          response.resume();
          resolve(response.statusCode);
        })
          .once('error', reject)
          .end();
      });

    expect(await statusOf('http://elsewhere.invalid/')).toBe(400);
    for (const path of ['//elsewhere.invalid/', '/\\elsewhere.invalid/', '/@elsewhere.invalid'])
      expect(await statusOf(path)).toBe(200);
    expect(await origin.seen()).toHaveLength(3);
    await stop();
  });
});
