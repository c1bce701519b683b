import { once } from 'node:events';
import { MessageChannel, Worker } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';

import type { Post } from './database.ts';
import { now } from './messages.ts';

interface PoolOptions {
  readonly connections: number;
  /** Milliseconds that a query may wait for a free connection. */
  readonly patience: number;
}

/** The data that the thread with the connections starts with. */
export interface ConnectionsOptions {
  readonly file: string;
  /** One per connection: takes the id of a post, returns an {@link Answer}. */
  readonly ports: readonly MessagePort[];
}

export type Answer = { readonly post: Post | undefined } | { readonly failure: string };

/** When the database goes down, queries under way fail; while it is down, new ones are refused. */
export type DatabaseState = 'up' | 'down';

interface Waiter {
  readonly proceed: (connection: MessagePort) => void;
  readonly timer: NodeJS.Timeout;
}

/** A fixed number of connections to one database, and the queue in front of them. */
export class Pool {
  /** The instant of each query that got a connection, refused ones included. The demo's figures come from here. */
  readonly queries: number[] = [];
  readonly #database: Worker;
  readonly #idle: MessagePort[];
  readonly #queue = new Set<Waiter>();
  readonly #patience: number;

  static async open(file: string, { connections, patience }: PoolOptions): Promise<Pool> {
    const channels = Array.from({ length: connections }, () => new MessageChannel());
    const ports = channels.map(({ port2 }) => port2);
    const workerData: ConnectionsOptions = { file, ports };
    const database = new Worker(new URL('connections.ts', import.meta.url), { workerData, transferList: ports });
    // A bug, not an outage: ends the server, and with it the demo.
    database.on('error', (error) => {
      throw error;
    });
    await once(database, 'message');
    const idle = channels.map(({ port1 }) => port1);
    return new Pool(database, idle, patience);
  }

  private constructor(database: Worker, connections: MessagePort[], patience: number) {
    this.#database = database;
    this.#idle = connections;
    this.#patience = patience;
  }

  async query(id: string): Promise<Post | undefined> {
    const connection = this.#idle.pop() ?? (await this.#nextFree());
    this.queries.push(now());
    connection.postMessage(id);
    const [answer] = (await once(connection, 'message')) as [Answer];
    this.#release(connection);
    if ('failure' in answer) throw new Error(answer.failure);
    return answer.post;
  }

  /** Takes the database down, or up again. */
  turn(state: DatabaseState): void {
    this.#database.postMessage(state);
  }

  #nextFree(): Promise<MessagePort> {
    const { promise, resolve, reject } = Promise.withResolvers<MessagePort>();
    const giveUp = (): void => {
      this.#queue.delete(waiter);
      reject(new Error(`No free connection within ${this.#patience} ms`));
    };
    const waiter: Waiter = { proceed: resolve, timer: setTimeout(giveUp, this.#patience) };
    this.#queue.add(waiter);
    return promise;
  }

  #release(connection: MessagePort): void {
    const [next] = this.#queue;
    if (next === undefined) {
      this.#idle.push(connection);
      return;
    }
    this.#queue.delete(next);
    clearTimeout(next.timer);
    next.proceed(connection);
  }
}
