import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, onTestFinished, test } from 'vitest';

import { ProfileTable } from '../../../examples/cache-sync/database/profile-table.js';
import { startExample } from '../../examples/start-example.js';

describe('`npm run example:cache-sync`', () => {
  test('builds the page, serves it, brings an edit to the database, and ends when it is told to', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'soloflight-cache-sync-example-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const start = () => startExample('cache-sync/main.ts', { DATABASE_PORT: '0', DATA: folder, FLUSH_EVERY_MS: '100' });
    const { url, stop } = await start();
    const name = { value: 'Ada King', at: Date.now(), by: 'test', base: 0 };

    const page = await (await fetch(url)).text();
    const script = await fetch(`${url}${/src="(\/assets\/[^"]+)"/.exec(page)?.[1]}`);
    const edit = await fetch(`${url}/api/profiles/ada`, {
      method: 'PATCH',
      headers: { origin: url, 'content-type': 'application/json' },
      body: JSON.stringify({ name }),
    });
    expect(page).toContain('role="status"');
    expect([script.status, edit.status]).toEqual([200, 202]);
    const table = new ProfileTable(join(folder, 'profiles.sqlite'));
    onTestFinished(() => table.close());
    await expect.poll(() => table.get('ada')?.name.value).toBe('Ada King');
    expect(await deleteBySocket(url)).toMatchObject({ type: 'error', error: { code: 'NOT_AUTHORIZED' } });
    expect((await fetch(`${url}/api/profiles/grace`)).status).toBe(200);
    expect(await stop()).toEqual({ code: 0, stderr: '' });

    // What was stored is there again.
    const again = await start();
    expect(await (await fetch(`${again.url}/api/profiles/ada`)).json()).toMatchObject({ name: { value: 'Ada King' } });
    expect(await again.stop()).toEqual({ code: 0, stderr: '' });
  });
});

/** The answer to a message that would delete somebody's profile. */
async function deleteBySocket(origin: string): Promise<unknown> {
  const Connecting = WebSocket as unknown as new (url: URL, options: object) => WebSocket;
  const socket = new Connecting(new URL('/api/profiles/grace', origin.replace('http', 'ws')), { headers: { origin } });
  onTestFinished(() => socket.close());
  const { promise, resolve } = Promise.withResolvers<unknown>();
  socket.addEventListener('message', ({ data }) => resolve(JSON.parse(String(data))));
  socket.addEventListener('open', () => socket.send(JSON.stringify({ id: 1, type: 'delete', key: 'grace' })));
  return promise;
}
