import { resolvers, type Resolvers } from '../base/promises.js';

/** The part of a client that says whether it is connected. */
export interface Connection {
  readonly isReady?: boolean;
  readonly status?: string;
  on(event: string, listener: (...args: never[]) => void): unknown;
  off(event: string, listener: (...args: never[]) => void): unknown;
}

/** Hears of a connection. `isNew`: it was not there before. `connected` resolves once it takes commands. */
export type Begin = (connected: Promise<void>, isNew: boolean) => void;

/** Calls `begin` with the present connection of `client`, and with each that it makes, before any reply of that arrives. */
export function listenTo(client: Connection, begin: Begin): () => void {
  return typeof client.status === 'string' ? listenToIoredis(client, begin) : listenToNodeRedis(client, begin);
}

/** ioredis sends nothing before it is ready. */
function listenToIoredis(client: Connection, begin: Begin): () => void {
  const ready = (): void => begin(Promise.resolve(), true);
  client.on('ready', ready);
  if (client.status === 'ready') begin(Promise.resolve(), false);
  return () => void client.off('ready', ready);
}

/** node-redis sends waiting commands together with its first ones, so replies may come before it is ready. */
function listenToNodeRedis(client: Connection, begin: Begin): () => void {
  let waiting: Resolvers<void> | undefined;
  const connect = (): void => {
    if (waiting !== undefined) return;
    waiting = resolvers();
    begin(waiting.promise, true);
  };
  const ready = (): void => {
    connect();
    waiting?.resolve();
    waiting = undefined;
  };
  const end = (): void => {
    waiting?.reject(new Error('The connection ended'));
    waiting = undefined;
  };
  const listeners = { connect, ready, reconnecting: end, end };
  for (const [event, listener] of Object.entries(listeners)) client.on(event, listener);
  if (client.isReady === true) begin(Promise.resolve(), false);
  else connect();
  return () => {
    for (const [event, listener] of Object.entries(listeners)) client.off(event, listener);
    end();
  };
}
