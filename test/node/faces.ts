import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import express, { type NextFunction, type Request, type Response as ExpressResponse } from 'express';
import { fastify } from 'fastify';
import { onTestFinished } from 'vitest';

import { fastifyCache, nodeCache, type HttpCacheOptions, type NodeCache } from '../../src/node/index.js';
import { listen } from './listen.js';

/** One request as a route sees it, whatever the framework. */
export interface Visit {
  readonly request: IncomingMessage;
  /** The response of Node. */
  readonly raw: ServerResponse;
  readonly visitor: string;
  set(name: string, value: string): void;
  send(text: string, status?: number): void;
}

/** A server with a middleware outside of the cache, and a route behind it. */
export interface App {
  readonly options?: HttpCacheOptions;
  readonly outside?: (visit: Visit) => void;
  /** A rejection is an error of the route. May leave the answer to later. */
  readonly route: (visit: Visit) => unknown;
}

export interface Served {
  readonly url: string;
  readonly cache: NodeCache['cache'];
}

/** The page of an error, as each framework is told to make it. */
export const PAGE = 'the page of an error';

function plainVisit(request: IncomingMessage, raw: ServerResponse): Visit {
  return {
    request,
    raw,
    visitor: String(request.headers['visitor'] ?? ''),
    set: (name, value) => void raw.setHeader(name, value),
    send: (text, status = 200) => {
      raw.statusCode = status;
      raw.end(text);
    },
  };
}

async function withNode({ options, outside, route }: App): Promise<Served> {
  const cache = nodeCache(options);
  const url = await listen((request, response) => {
    const visit = plainVisit(request, response);
    outside?.(visit);
    const fail = (): void => void (response.writableEnded || response.writeHead(500).end(PAGE));
    cache(request, response, async (error) => {
      if (error !== undefined) return fail();
      await route(visit);
    }).catch(fail);
  });
  return { url, cache: cache.cache };
}

async function withExpress({ options, outside, route }: App): Promise<Served> {
  const app = express();
  const cache = nodeCache(options);
  app.use((request, response, next) => {
    outside?.(plainVisit(request, response));
    next();
  });
  app.use(cache);
  app.use((request: Request, response: ExpressResponse, next: NextFunction) => {
    const visit = plainVisit(request, response);
    const send = (text: string, status = 200): void => void response.status(status).type('text').send(text);
    Promise.resolve(route({ ...visit, send })).catch(next);
  });
  app.use((_error: unknown, _request: Request, response: ExpressResponse, _next: NextFunction) => {
    response.status(500).send(PAGE);
  });
  return { url: await listen(app as RequestListener), cache: cache.cache };
}

async function withFastify({ options, outside, route }: App): Promise<Served> {
  const app = fastify({ forceCloseConnections: true });
  const cache = fastifyCache(options);
  app.addHook('onRequest', (request, reply, done) => {
    outside?.({ ...plainVisit(request.raw, reply.raw), set: (name, value) => void reply.header(name, value) });
    done();
  });
  await app.register(cache);
  app.setErrorHandler((_error, _request, reply) => reply.code(500).send(PAGE));
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.all('/*', (request, reply) => {
    const visit = plainVisit(request.raw, reply.raw);
    const made = route({
      ...visit,
      set: (name, value) => void reply.header(name, value),
      send: (text, status = 200) => void reply.code(status).type('text/plain').send(text),
    });
    Promise.resolve(made).catch((error: unknown) => reply.send(error as Error));
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  onTestFinished(() => app.close());
  return { url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}/`, cache: cache.cache };
}

export const FACES: readonly (readonly [name: string, serve: (app: App) => Promise<Served>])[] = [
  ['node:http', withNode],
  ['Express', withExpress],
  ['Fastify', withFastify],
];
