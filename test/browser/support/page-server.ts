import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';

const PAGE = `<!doctype html>
<html lang="en">
<title>soloflight</title>
<link rel="icon" href="data:,">
<script type="module" src="/page.js"></script>
`;

/** Serves, on loopback, one page that has the library in it; `/health` says that the server is there. */
export async function servePage(): Promise<Server> {
  const script = await bundle(fileURLToPath(new URL('../page.ts', import.meta.url)));
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://server');
    if (pathname === '/') return response.setHeader('content-type', 'text/html').end(PAGE);
    // A sandboxed frame has an origin of its own.
    response.setHeader('access-control-allow-origin', '*');
    if (pathname === '/page.js') return response.setHeader('content-type', 'text/javascript').end(script);
    return response.writeHead(pathname === '/health' ? 204 : 404).end();
  });
  // Longer than a browser keeps its connections.
  server.keepAliveTimeout = 600_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

/** `http://127.0.0.1` counts as a secure context, a name of ours that leads there does not. */
export function originOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function bundle(entry: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    write: false,
    logLevel: 'silent',
  });
  return outputFiles[0]?.text ?? '';
}
