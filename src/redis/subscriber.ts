import { ignore } from '../base/promises.js';
import { misuse } from '../errors.js';
import { isIoredis, isNodeRedis, unpipelined, type IoredisSender, type RedisClient } from './client.js';

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
  throw misuse(name, 'a client of node-redis 5 or later, or of ioredis 5 or later', client);
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

interface Emitter {
  on(event: string, listener: (...args: never[]) => void): unknown;
  off(event: string, listener: (...args: never[]) => void): unknown;
}

type Listener = (message: string) => void;

interface NodeRedis extends Emitter {
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
    // Emitted when a new connection listens to all channels again.
    const ready = (): void => lost();
    await (this.#sharded ? client.sSubscribe(channel, receive) : client.subscribe(channel, receive));
    client.on('ready', ready);
    return async () => {
      client.off('ready', ready);
      await (this.#sharded ? client.sUnsubscribe(channel, receive) : client.unsubscribe(channel, receive));
    };
  }
}

interface Ioredis extends Emitter, IoredisSender {
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
    // Emitted before the new connection listens. Losses end only once the channel is subscribed again.
    const ready = (): void => void subscribe().then(lost, ignore);
    client.on(event, message);
    try {
      await subscribe();
    } catch (error) {
      client.off(event, message);
      throw error;
    }
    client.on('ready', ready);
    // The channel stays subscribed: others may listen to it on the same connection.
    return () => {
      client.off(event, message);
      client.off('ready', ready);
      return Promise.resolve();
    };
  }
}
