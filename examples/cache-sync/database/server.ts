import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { FIELDS, isProfile, type FieldName } from '../profile.ts';
import { ProfileTable, type Delivery, type Outcome } from './profile-table.ts';

/** A batch as it arrived. */
export interface Batch {
  readonly deliveries: readonly Delivery[];
  readonly outcomes: readonly Outcome[];
}

/** The main database, as a server of its own. */
export interface MainDatabase {
  /** Where it listens, without a slash at the end. */
  readonly url: string;
  readonly table: ProfileTable;
  /** All that arrived since the start. */
  readonly batches: readonly Batch[];
  close(): Promise<void>;
}

const LARGEST_BODY = 1_000_000;

/** Starts the stand-in for a main database on loopback, over the SQLite `file`. `arrived` is told of each batch. */
export async function startDatabase(
  file: string,
  { port = 0, arrived = () => {} }: { readonly port?: number; readonly arrived?: (batch: Batch) => void } = {},
): Promise<MainDatabase> {
  const table = new ProfileTable(file);
  const batches: Batch[] = [];
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      console.error(error);
      if (response.headersSent) response.destroy();
      else json(response, 500, { error: 'The database failed' });
    });
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', 'http://database');
    const [, collection, id, verb] = pathname.split('/');
    const route = `${request.method} /${collection}${id ? '/id' : ''}${verb ? `/${verb}` : ''}`;
    switch (route) {
      case 'GET /profiles':
        return json(response, 200, table.ids());
      case 'GET /profiles/id': {
        const profile = table.get(decodeURIComponent(id!));
        return profile === undefined ? json(response, 404, { error: 'No such profile' }) : json(response, 200, profile);
      }
      case 'POST /batches': {
        const deliveries = await bodyOf(request);
        if (!isBatch(deliveries)) return json(response, 400, { error: 'Expected an array of writes' });
        const batch = { deliveries, outcomes: table.take(deliveries) };
        batches.push(batch);
        arrived(batch);
        return json(response, 200, batch.outcomes);
      }
      case 'POST /profiles/id/edit': {
        const { field, value } = Object(await bodyOf(request)) as { readonly field: FieldName; readonly value: string };
        if (!FIELDS.includes(field) || typeof value !== 'string')
          return json(response, 400, { error: `Expected { field: ${FIELDS.join(' or ')}, value }` });
        const profile = table.edit(decodeURIComponent(id!), field, value);
        return profile === undefined ? json(response, 404, { error: 'No such profile' }) : json(response, 200, profile);
      }
      default:
        return json(response, 404, { error: `There is no ${route}` });
    }
  }

  server.keepAliveTimeout = 60_000; // longer than the Worker keeps its connections
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    table,
    batches,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      table.close();
    },
  };
}

/** The JSON in the body; `undefined` if there is none. */
async function bodyOf(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) {
    text += chunk;
    if (text.length > LARGEST_BODY) throw new Error('The body is too large');
  }
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isBatch(body: unknown): body is readonly Delivery[] {
  return Array.isArray(body) && body.every((write) => typeof Object(write).id === 'string' && isProfile(write.value));
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
