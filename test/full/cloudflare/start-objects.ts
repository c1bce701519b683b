import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';
import { convertV4MiniflareOptions, Miniflare, Response } from 'miniflare';
import { onTestFinished } from 'vitest';

import { HANGS_AFTER, waitPatiently } from '../../support/patience.js';

waitPatiently();

interface Setting {
  readonly compatibilityDate?: string;
  /** Where objects keep what they store. @default nowhere */
  readonly folder?: string;
}

/** The Worker of `test/workers/slow-worker.ts` in a workerd of its own, which ends with the test at the latest. */
export interface RunningObjects {
  /** The calls of the upstream so far, each to be answered. */
  readonly calls: readonly ((body: string) => void)[];
  /** Sends a request, and gives the socket to do away with. */
  readonly visit: (path: string) => Promise<Socket>;
  /** Does away with a socket. Resolves when the Worker must have noticed. */
  readonly leave: (socket: Socket) => Promise<void>;
  /** Resolves when so many have joined a flight for `key`. */
  readonly joined: (key: string, count: number) => Promise<void>;
  readonly get: (path: string) => Promise<string>;
  readonly stop: () => Promise<void>;
}

/** A Worker in front of objects, on a socket of its own, over an upstream that answers when the test says so. */
export async function startObjects({
  compatibilityDate = '2026-10-23',
  folder,
}: Setting = {}): Promise<RunningObjects> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('../../workers/slow-worker.ts', import.meta.url))],
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
      ...(folder === undefined ? {} : { resourcePersistencePath: folder }),
      serviceBindings: {
        UPSTREAM: () => new Promise<Response>((resolve) => calls.push((body) => resolve(new Response(body)))),
      },
      unsafeDirectSockets: [{ host: '127.0.0.1', port: 0 }],
      cf: false,
    }),
  );
  let disposed: Promise<void> | undefined;
  const stop = (): Promise<void> => (disposed ??= miniflare.dispose());
  onTestFinished(stop);
  const url = await miniflare.unsafeGetDirectURL('worker');
  const visit = async (key: string): Promise<Socket> => {
    const socket = connect(Number(url.port), url.hostname);
    await once(socket, 'connect');
    socket.write(`GET /${key} HTTP/1.1\r\nHost: worker\r\n\r\n`);
    return socket;
  };
  // On a connection of its own, so that it waits for no other request.
  const get = async (key: string): Promise<string> => {
    const sent = request(new URL(key, url), { agent: false, signal: AbortSignal.timeout(HANGS_AFTER) }).end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    return text(response);
  };
  const joined = async (key: string, count: number): Promise<void> => {
    const joinedBy = async (): Promise<number> =>
      (JSON.parse(await get(`${key}?stats`)) as { readonly flights: { readonly joined: number } }).flights.joined;
    while ((await joinedBy()) < count);
  };
  const leave = async (socket: Socket): Promise<void> => {
    const closed = once(socket, 'close');
    socket.resetAndDestroy();
    await closed;
    // What has reached the runtime's sockets before these requests is taken before their last one is answered.
    for (let turn = 0; turn < 3; turn += 1) await get('settled?stats');
  };
  return { calls, visit, leave, get, joined, stop };
}
