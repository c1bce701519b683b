import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { OriginStep, SeenRequest } from './scripted-origin.ts';

interface Script {
  readonly paths: Readonly<Record<string, readonly OriginStep[]>>;
  readonly seen: SeenRequest[];
  /** Called for every request. */
  readonly watching: Set<() => void>;
  readonly used: Map<string, number>;
  /** Gates that were opened, and the requests that wait for the others. */
  readonly opened: Set<string>;
  readonly waiting: Map<string, (() => void)[]>;
}

/** An HTTP server on loopback that is scripted by requests to itself, so that tests in any runtime can use it. */
export async function startOrigin(): Promise<{ readonly url: string; close(): Promise<void> }> {
  const scripts = new Map<string, Script>();
  const server = createServer((request, response) => {
    handle(scripts, request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function handle(scripts: Map<string, Script>, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [, verb, id = '', ...rest] = (request.url ?? '').split('/');
  if (verb === 'script') {
    const paths = JSON.parse(await textOf(request)) as Script['paths'];
    scripts.set(id, { paths, seen: [], watching: new Set(), used: new Map(), opened: new Set(), waiting: new Map() });
    return void response.end();
  }
  const script = scripts.get(id);
  if (script === undefined) return void response.writeHead(500).end('no such script');
  if (verb === 'seen') return void response.end(JSON.stringify(script.seen));
  if (verb === 'reached') {
    const [count, ...path] = rest;
    await reached(script, Number(count), path.length === 0 ? undefined : `/${path.join('/')}`);
    return void response.end();
  }
  if (verb === 'open') {
    const gate = rest.join('/');
    script.opened.add(gate);
    for (const pass of script.waiting.get(gate) ?? []) pass();
    return void response.end();
  }
  await play(script, `/${rest.join('/')}`, request, response);
}

async function play(script: Script, path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const seen = { method: request.method!, path, headers: request.headers as Record<string, string>, aborted: false };
  script.seen.push(seen);
  for (const look of script.watching) look();
  response.on('close', () => {
    if (!response.writableFinished) Object.assign(seen, { aborted: true });
  });
  request.resume();
  const steps = script.paths[path] ?? script.paths[path.split('?')[0]!] ?? script.paths['*'];
  if (steps === undefined) return void response.writeHead(500).end(`no script for ${path}`);
  const index = script.used.get(path) ?? 0;
  script.used.set(path, index + 1);
  const step = steps[Math.min(index, steps.length - 1)]!;

  await gate(script, step.hold);
  if (step.raw !== undefined) {
    response.socket!.write(step.raw);
    if (step.then === 'reset') return void response.socket!.resetAndDestroy();
    return void response.socket!.end();
  }
  if (step.then === 'reset' && step.body === undefined) return void response.socket!.resetAndDestroy();
  const matched = step.echo === undefined ? [] : [request.headers[step.echo] ?? 'none'];
  const body = step.size === undefined ? [step.body ?? '', ...matched].join('') : 'x'.repeat(step.size);
  send(response, step, body);
  if (step.holdBody !== undefined || step.then === 'reset') {
    response.write(body.slice(0, step.before ?? 1));
    await gate(script, step.holdBody);
    if (step.then === 'reset') return void response.socket!.resetAndDestroy();
    return void response.end(body.slice(step.before ?? 1));
  }
  response.end(request.method === 'HEAD' ? undefined : body);
}

function send(response: ServerResponse, step: OriginStep, body: string): void {
  const fields = Object.entries(step.headers ?? {}).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).flatMap((one) => [name, one]),
  );
  const names = new Set(fields.map((field) => field.toLowerCase()));
  const isChunked = step.chunked === true || step.holdBody !== undefined || names.has('content-length');
  const length = isChunked || body === '' ? [] : ['Content-Length', String(Buffer.byteLength(body))];
  response.sendDate = false;
  response.writeHead(step.status ?? 200, [...fields, ...length]);
}

/** Resolves after `count` requests, or after that many for `path` if it is given. */
function reached(script: Script, count: number, path: string | undefined): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (script.seen.filter((request) => path === undefined || request.path === path).length < count) return;
      script.watching.delete(look);
      resolve();
    };
    script.watching.add(look);
    look();
  });
}

async function gate(script: Script, name: string | undefined): Promise<void> {
  if (name === undefined || script.opened.has(name)) return;
  await new Promise<void>((resolve) => script.waiting.set(name, [...(script.waiting.get(name) ?? []), resolve]));
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text;
}
