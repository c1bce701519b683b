import { ignore, resolvers } from '../base/promises.js';
import { misuse } from '../errors.js';
import { isIoredis, isNodeRedis, unpipelined, type IoredisSender, type RedisClient } from './client.js';
import type { Connection } from './connection.js';

/** A connection that listens to channels, whether it is of node-redis or ioredis. */
export interface RedisSubscriber {
  /**
   * Calls `receive` with the text of each message. Once Redis has confirmed it, resolves with a function that ends it.
   *
   * `lost` is called when messages may have been lost and new ones arrive again.
   */
  subscribe(channel: string, receive: (message: string) => void, lost?: () => void): Promise<() => Promise<void>>;
}

/** @throws TypeError for anything but a client of either library. `sharded`: channels belong to slots of a cluster. */
export function subscriberOf(name: string, client: RedisClient, sharded = false): RedisSubscriber {
  if (isIoredis(client)) return new IoredisSubscriber(client as unknown as Ioredis, sharded);
  if (isNodeRedis(client)) return new NodeRedisSubscriber(client as unknown as NodeRedis, sharded);
  throw misuse(name, 'a client of node-redis 5.11 or later, or of ioredis 5 or later', client);
}

/** Whether `client` can listen to channels that belong to slots of a cluster. */
export function canShard(client: RedisClient): boolean {
  if (!isIoredis(client)) return typeof (Object(client) as { readonly nodeClient?: unknown }).nodeClient === 'function';
  const { isCluster, options } = client as {
    readonly isCluster?: boolean;
    readonly options?: { readonly shardedSubscribers?: boolean };
  };
  return isCluster === true && options?.shardedSubscribers === true;
}

type Listener = (message: string) => void;

/**
 * Waits while ioredis checks a new connection. It would send a subscription at once, and then its check on a connection that
 * takes no such command any more: a rejection that nobody handles.
 */
async function untilReady(client: Connection): Promise<void> {
  while (client.status === 'connect') {
    const { promise, resolve } = resolvers<void>();
    const events = ['ready', 'close', 'end'];
    for (const event of events) client.on(event, resolve);
    await promise;
    for (const event of events) client.off(event, resolve);
  }
}

/**
 * Calls `again` when `client` has a new connection. node-redis sends a subscription before it calls the connection ready: that
 * first event tells nothing new.
 */
function onReconnected(client: Connection, again: () => void): () => void {
  let isNew = client.isReady !== false && (client.status ?? 'ready') === 'ready';
  const away = (): void => void (isNew = true);
  const ready = (): void => {
    if (isNew) again();
    isNew = true;
  };
  const listeners = { ready, reconnecting: away, close: away };
  for (const [event, listener] of Object.entries(listeners)) client.on(event, listener);
  return () => {
    for (const [event, listener] of Object.entries(listeners)) client.off(event, listener);
  };
}

interface NodeRedis extends Connection {
  subscribe(channel: string, listener: Listener): Promise<unknown>;
  unsubscribe(channel: string, listener: Listener): Promise<unknown>;
  sSubscribe(channel: string, listener: Listener): Promise<unknown>;
  sUnsubscribe(channel: string, listener: Listener): Promise<unknown>;
}

class NodeRedisSubscriber implements RedisSubscriber {
  readonly #client: NodeRedis;
  readonly #sharded: boolean;

  constructor(client: NodeRedis, sharded: boolean) {
    this.#client = client;
    this.#sharded = sharded;
  }

  async subscribe(channel: string, receive: Listener, lost: () => void = ignore): Promise<() => Promise<void>> {
    const client = this.#client;
    await (this.#sharded ? client.sSubscribe(channel, receive) : client.subscribe(channel, receive));
    // By then the new connection listens to all channels again.
    const rest = onReconnected(client, lost);
    return async () => {
      rest();
      await (this.#sharded ? client.sUnsubscribe(channel, receive) : client.unsubscribe(channel, receive));
    };
  }
}

interface Ioredis extends Connection, IoredisSender {
  subscribe(this: IoredisSender, channel: string): Promise<unknown>;
  ssubscribe(this: IoredisSender, channel: string): Promise<unknown>;
}

class IoredisSubscriber implements RedisSubscriber {
  readonly #client: Ioredis;
  readonly #sharded: boolean;

  constructor(client: Ioredis, sharded: boolean) {
    this.#client = client;
    this.#sharded = sharded;
  }

  async subscribe(channel: string, receive: Listener, lost: () => void = ignore): Promise<() => Promise<void>> {
    const client = this.#client;
    const event = this.#sharded ? 'smessage' : 'message';
    const sender = unpipelined(client);
    const subscribe = (): Promise<unknown> =>
      this.#sharded ? client.ssubscribe.call(sender, channel) : client.subscribe.call(sender, channel);
    const message = (from: string, text: string): void => {
      if (from === channel) receive(text);
    };
    client.on(event, message);
    try {
      await untilReady(client);
      await subscribe();
    } catch (error) {
      client.off(event, message);
      throw error;
    }
    // The new connection does not listen yet. Losses end only once the channel is subscribed again.
    const rest = onReconnected(client, () => void subscribe().then(lost, ignore));
    // The channel stays subscribed: others may listen to it on the same connection.
    return () => {
      client.off(event, message);
      rest();
      return Promise.resolve();
    };
  }
}
