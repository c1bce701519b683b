import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';

/** Stands for a slow database that counts its queries. */
export interface Database {
  readonly url: string;
  /** Queries so far, by post. */
  readonly queries: ReadonlyMap<string, number>;
  /** Changes a post, and returns its new text. */
  readonly change: (id: string) => string;
  readonly close: () => void;
}

/** Starts a database whose queries take `ms` milliseconds. */
export async function startDatabase(ms: number): Promise<Database> {
  const queries = new Map<string, number>();
  const edits = new Map<string, number>();
  const textOf = (id: string): string => `post ${id}, edit ${edits.get(id) ?? 0}`;
  const server = createServer((request, response) => {
    const id = request.url?.slice(1) ?? '';
    queries.set(id, (queries.get(id) ?? 0) + 1);
    const text = textOf(id);
    void setTimeout(ms).then(() => response.end(text));
  }).listen(0, '127.0.0.1');
  server.keepAliveTimeout = 0; // as in server.ts
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    queries,
    change: (id) => {
      edits.set(id, (edits.get(id) ?? 0) + 1);
      return textOf(id);
    },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
